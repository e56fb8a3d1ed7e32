// A gate's reader, played by the laptop's camera or by another window: frames go through a QR decoder until one reads.

import { QRCanvas } from "qr/dom.js";

export function camera(): Promise<MediaStream> {
  return navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
}

/** The guest's page on the same screen: nobody can hold a laptop up to its own camera. */
export function otherWindow(): Promise<MediaStream> {
  return navigator.mediaDevices.getDisplayMedia({ video: true });
}

/** Calls back with each text that is read, once for the same text in a row; the result stops it. */
export async function readCodes(
  stream: MediaStream,
  video: HTMLVideoElement,
  onText: (text: string) => void,
  onEnded: () => void,
): Promise<() => void> {
  for (const track of stream.getTracks()) track.addEventListener("ended", onEnded);
  video.srcObject = stream;
  await video.play();
  const decoder = new QRCanvas({}, { cropToSquare: false, decodeAll: false, async: false });
  let last = "";
  let running = true;
  const look = (): void => {
    if (!running) return;
    const read = video.videoWidth > 0 ? decoder.drawImage(video, video.videoHeight, video.videoWidth) : undefined;
    if (typeof read === "string" && read !== last) {
      last = read;
      onText(read);
    }
    requestAnimationFrame(look);
  };
  look();
  return () => {
    running = false;
    for (const track of stream.getTracks()) track.stop();
    video.srcObject = null;
  };
}
