//! An unlock by Aliro's standard phase, both sides in one process: what the two processors together
//! cannot save. No carrier, no store. Its floor stands below: what the phase asks of ring.

use aliro::crypto::RingEntropy;
use aliro::device::{self, Credential, DeviceConfig, Disclosure, GroupBinding, Trust};
use aliro::identifier::ReaderIdentifier;
use aliro::message::{Action, ReaderState, Reporting};
use aliro::reader::{self, ReaderConfig, ReaderKey};
use latchkey_bench::Key;
use ring::agreement::{ECDH_P256, EphemeralPrivateKey, UnparsedPublicKey, agree_ephemeral};
use ring::rand::SystemRandom;

fn main() {
    divan::main();
}

#[divan::bench]
fn standard_phase_both_sides(bencher: divan::Bencher<'_, '_>) {
    let (door_key, phone_key) = (Key::new(), Key::new());
    bencher.bench(|| assert!(unlock(&door_key, &phone_key)));
}

/// Two key pairs, two agreements, two signatures, two verifications.
#[divan::bench]
fn floor_of_the_standard_phase(bencher: divan::Bencher<'_, '_>) {
    let (door_key, phone_key) = (Key::new(), Key::new());
    bencher.bench(|| {
        let random = SystemRandom::new();
        let pair = || EphemeralPrivateKey::generate(&ECDH_P256, &random).expect("a key");
        let (door, phone) = (pair(), pair());
        let door_public = door.compute_public_key().expect("a point");
        let phone_public = phone.compute_public_key().expect("a point");
        for (mine, theirs) in [(door, phone_public), (phone, door_public)] {
            let theirs = UnparsedPublicKey::new(&ECDH_P256, theirs);
            agree_ephemeral(mine, &theirs, |secret| divan::black_box(secret[0])).expect("agreed");
        }
        for key in [&door_key, &phone_key] {
            let signature = key.sign(b"message");
            key.public()
                .verify(b"message", &signature)
                .expect("verified");
        }
    });
}

fn unlock(door_key: &Key, phone_key: &Key) -> bool {
    let door = ReaderIdentifier::new([1; 16], [2; 16]);
    let config = ReaderConfig::new(door, ReaderKey::Direct(door_key.public()));
    let mut reader = reader::Session::new(config, &RingEntropy::new()).expect("a reader");
    let config = DeviceConfig::new(vec![Credential {
        public_key: phone_key.public(),
        groups: vec![GroupBinding {
            group: [1; 16],
            trust: Trust::DirectKey(door_key.public()),
        }],
    }]);
    let mut device = device::Session::new(config, &RingEntropy::new()).expect("a device");

    let mut opened = false;
    let mut to_do = device.start_rke().expect("started");
    while let Some(event) = to_do.pop() {
        let mut answers = match event {
            device::Event::Send(message) => reader.on_message(&message),
            device::Event::ReaderAuthenticated(_) => {
                to_do.extend(device.approve(Disclosure::default()).expect("approved"));
                continue;
            }
            device::Event::Sign { message, .. } => {
                to_do.extend(device.signed(phone_key.sign(&message)).expect("signed"));
                continue;
            }
            device::Event::AccessCompleted { .. } => {
                to_do.extend(device.rke_request(Action::Unsecure).expect("asked"));
                continue;
            }
            other => panic!("{other:?}"),
        };
        while let Some(answer) = answers.pop() {
            match answer {
                reader::Event::Send(message) => to_do.extend(device.on_message(&message)),
                reader::Event::Sign(message) => {
                    answers.extend(reader.signed(door_key.sign(&message)).expect("signed"));
                }
                reader::Event::Authenticated(_) => {
                    let done = reader.complete(ReaderState::Secured, Reporting::ThisDevice);
                    answers.extend(done.expect("completed"));
                }
                reader::Event::Completed => {}
                reader::Event::RkeRequest { action } => opened = action == Action::Unsecure,
                other => panic!("{other:?}"),
            }
        }
    }
    opened
}
