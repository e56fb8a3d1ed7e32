// The laptop's camera as a gate's reader: frames go through a QR decoder until one reads.

import { QRCanvas } from "qr/dom.js";

/** Calls back with each text that is read, once for the same text in a row; the result stops the camera. */
export async function readCodes(video: HTMLVideoElement, onText: (text: string) => void): Promise<() => void> {
  const stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
  video.srcObject = stream;
  await video.play();
  const decoder = new QRCanvas({}, { cropToSquare: true, decodeAll: false, async: false });
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
