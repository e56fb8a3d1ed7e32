//! The certification tool's cases for readers over NFC (group A), each as a
//! test of its name, the tool's side played from the public notes.
#![expect(clippy::unwrap_used, reason = "a test says what failed by failing")]

mod common;

use std::sync::{Arc, Mutex};

use aliro::command::{ControlFlow, ExchangeCommand, ReaderStatus, Signaling, ins};
use aliro::crypto::Secret;
use aliro::mailbox::{Content, Operation, Request, Session};
use aliro::proprietary::{ExtendedLength, ProprietaryInformation};
use aliro::reader::{BoundedMemory, CertificateDelivery, Failure, Memory as _, Phase};
use aliro::{device, tlv};
use common::mailbox::OneMailbox;
use common::tool_device::ToolDevice;
use common::{Field, Installation, Key, untouched};

fn without_documents() -> Installation {
    Installation {
        documents: None,
        ..Installation::new()
    }
}

fn tool(installation: &Installation) -> ToolDevice<'_> {
    ToolDevice::new(installation, installation.terminal(None))
}

/// Granted, as the tool sees it.
fn granted(tool: &ToolDevice<'_>) {
    assert!(tool.finished);
    let status = tool.exchanged.last().unwrap().status.unwrap();
    assert_eq!(status.0 >> 8, 1);
}

/// Ended by CONTROL FLOW: failure, with this in S2.
fn control_flow(tool: &ToolDevice<'_>, s2: u8) {
    assert!(!tool.finished && tool.failure.is_some());
    assert_eq!(tool.last().ins, ins::CONTROL_FLOW);
    let flow = ControlFlow::parse(&tool.last().data).unwrap();
    assert_eq!((flow.s1, flow.s2), (0, s2));
}

/// Ended by EXCHANGE with this failure.
fn refused(tool: &ToolDevice<'_>, status: ReaderStatus) {
    assert!(!tool.finished);
    assert_eq!(tool.failure, Some(Failure::NotAuthenticated(status)));
    assert_eq!(tool.exchanged, [ExchangeCommand::status(status)]);
    assert!(tool.authenticated.is_none());
}

#[test]
fn nfc_rdr_standard_no_cert() {
    let installation = without_documents();
    let mut reader = installation.reader_config();
    let mut device = installation.device_config();
    let key = installation.reader.public();
    (reader.interface, device.interface) = (
        aliro::identifier::Interface::NFC,
        aliro::identifier::Interface::NFC,
    );
    reader.key = aliro::reader::ReaderKey::Direct(key);
    device.credentials[0].groups[0].trust = device::Trust::DirectKey(key);
    let entropy = aliro::crypto::RingEntropy;
    let seen = installation
        .field_of(
            aliro::reader::Terminal::new(reader, None, &entropy).unwrap(),
            device::Card::new(device, None, Arc::new(entropy)),
        )
        .run(untouched);
    assert!(seen.finished);
    assert_eq!(seen.apdus.len(), 4, "SELECT, AUTH0, AUTH1, EXCHANGE");
}

fn certified(delivery: CertificateDelivery, limit: Option<u8>) {
    let installation = Installation {
        delivery,
        extended: Some(ExtendedLength {
            max_command: 0x0e00,
            max_response: 0x0e00,
        }),
        ..without_documents()
    };
    let mut terminal = installation.terminal(None);
    if let Some(limit) = limit {
        terminal = terminal.with_command_limit(limit);
    }
    let mut tool = ToolDevice::new(&installation, terminal);
    tool.proprietary = installation.device_config().proprietary;
    tool.run();
    granted(&tool);
    let loads = tool
        .commands
        .iter()
        .filter(|command| command.ins == ins::LOAD_CERT);
    assert_eq!(
        loads.count(),
        usize::from(delivery == CertificateDelivery::LoadCert)
    );
}

#[test]
fn nfc_rdr_standard_cert_in_auth1_no_chaining() {
    certified(CertificateDelivery::InAuth1, None);
}

#[test]
fn nfc_rdr_standard_cert_in_auth1_with_chaining() {
    certified(CertificateDelivery::InAuth1, Some(100));
}

#[test]
fn nfc_rdr_standard_cert_in_load_cert_no_chaining() {
    certified(CertificateDelivery::LoadCert, None);
}

#[test]
fn nfc_rdr_standard_cert_in_load_cert_with_chaining() {
    certified(CertificateDelivery::LoadCert, Some(100));
}

fn twice(memory: &Arc<BoundedMemory>) {
    let installation = without_documents();
    let remembered = Arc::new(device::BoundedMemory::new(16));
    let field = || -> Field<'_> {
        let terminal = installation.terminal(Some(memory.clone()));
        installation.field_of(terminal, installation.card(Some(remembered.clone())))
    };
    let first = field().run(untouched);
    assert_eq!(first.authenticated[0].phase, Phase::Standard);
    let second = field().run(untouched);
    assert_eq!(second.authenticated[0].phase, Phase::Fast);
    assert!(second.finished && !second.sent(ins::AUTH1));
}

#[test]
fn nfc_rdr_fast() {
    twice(&Arc::new(BoundedMemory::new(16)));
}

#[test]
fn nfc_rdr_fast_kpersistent_cache_max() {
    let memory = Arc::new(BoundedMemory::new(16));
    for number in 0..16 {
        let other = Key::named(&format!("device {number}")).public();
        memory.remember(&other, Secret::new([number; 32]));
    }
    twice(&memory);
}

#[test]
fn nfc_rdr_exchange_mailbox() {
    let installation = without_documents();
    let mailbox = Arc::new(OneMailbox(Mutex::new(Content {
        bytes: vec![1; 32],
        readable: true,
        writable: true,
    })));
    let card = installation.card(None).with_mailboxes(mailbox.clone());
    let mut field = installation.field_of(installation.terminal(None), card);
    field.disclosure.signaling = Signaling::MAILBOX_READABLE | Signaling::MAILBOX_WRITABLE;
    field.exchanges.push_back(ExchangeCommand::mailbox(Request {
        session: Session::Ends,
        operations: vec![
            Operation::Read {
                offset: 0,
                length: 2,
            },
            Operation::Set {
                offset: 0,
                length: 2,
                value: 9,
            },
        ],
    }));
    let seen = field.run(untouched);
    assert!(seen.finished, "{seen:?}");
    assert_eq!(seen.exchanged, [[vec![1, 1]]]);
    assert_eq!(mailbox.0.lock().unwrap().bytes[..3], [9, 9, 1]);
}

fn with_descriptor(tag: tlv::Tag) {
    let installation = without_documents();
    let mut tool = tool(&installation);
    tlv::push(&mut tool.descriptor, tag, b"\x04\x03abc");
    tool.run();
    granted(&tool);
}

#[test]
fn nfc_rdr_exchange_rdr_descriptor_tag() {
    with_descriptor(0xb7);
}

#[test]
fn nfc_rdr_exchange_rdr_info_tag() {
    let installation = without_documents();
    let mut tool = tool(&installation);
    tool.spoil_auth1 = |plain| tlv::push(plain, 0xb8, b"info");
    tool.run();
    granted(&tool);
}

fn ends_by_control_flow() {
    let installation = without_documents();
    let mut tool = tool(&installation);
    tool.spoil_auth0 = |data| data[0] = 0x88;
    tool.run();
    control_flow(&tool, 0);
}

#[test]
fn nfc_rdr_control_flow_rdr_descriptor_tag() {
    ends_by_control_flow();
}

#[test]
fn nfc_rdr_control_flow_rdr_info_tag() {
    ends_by_control_flow();
}

#[test]
fn nfc_rdr_neg_sel_rsp_no_common_expedited_protocol_version() {
    let installation = without_documents();
    let mut tool = tool(&installation);
    tool.proprietary = ProprietaryInformation::new(&[0x0a00], None);
    tool.run();
    control_flow(&tool, 0x27);
    assert_eq!(tool.failure, Some(Failure::Version));
}

#[test]
fn nfc_rdr_neg_auth0_extra_tag() {
    let installation = without_documents();
    let mut tool = tool(&installation);
    tool.spoil_auth0 = |data| tlv::push(data, 0x99, b"extra");
    tool.run();
    granted(&tool);
}

#[test]
fn nfc_rdr_neg_auth0_wrong_value() {
    ends_by_control_flow();
}

#[test]
fn nfc_rdr_neg_auth1_extra_tag() {
    let installation = without_documents();
    let mut tool = tool(&installation);
    tool.spoil_auth1 = |plain| {
        let mut extra = Vec::new();
        tlv::push(&mut extra, 0x99, b"extra");
        plain.splice(0..0, extra);
    };
    tool.run();
    granted(&tool);
}

#[test]
fn nfc_rdr_neg_auth1_wrong_values() {
    let installation = without_documents();
    let mut tool = tool(&installation);
    tool.spoil_auth1 = |plain| plain[67] = 0x9d;
    tool.run();
    refused(&tool, ReaderStatus::NO_SIGNATURE);
}

#[test]
fn nfc_rdr_neg_auth1_wrong_ud_signature() {
    let installation = without_documents();
    let mut tool = tool(&installation);
    tool.spoil_auth1 = |plain| plain[132] ^= 1;
    tool.run();
    refused(&tool, ReaderStatus::INVALID_SIGNATURE);
}

#[test]
fn every_other_wrong_answer_to_auth1_has_its_own_status() {
    type Spoil = fn(&mut Vec<u8>);
    let cases: [(Spoil, ReaderStatus); 5] = [
        (|plain| drop(plain.drain(..67)), ReaderStatus::NO_PUBLIC_KEY),
        (
            |plain| plain.truncate(67 + 66),
            ReaderStatus::INVALID_FORMAT,
        ),
        (|plain| plain[40] ^= 1, ReaderStatus::INVALID_FORMAT),
        (|plain| plain.push(0), ReaderStatus::INVALID_FORMAT),
        (
            |plain| drop(plain.splice(..67, [0x4e, 8, 1, 2, 3, 4, 5, 6, 7, 8])),
            ReaderStatus::NO_PUBLIC_KEY,
        ),
    ];
    for (spoil, status) in cases {
        let installation = without_documents();
        let mut tool = tool(&installation);
        tool.spoil_auth1 = spoil;
        tool.run();
        refused(&tool, status);
    }
}

#[test]
fn a_cryptogram_that_was_not_asked_for_ends_it() {
    let installation = without_documents();
    let mut tool = tool(&installation);
    tool.spoil_auth0 = |data| tlv::push(data, 0x9d, &[7; 64]);
    tool.run();
    control_flow(&tool, 0);
    assert_eq!(tool.failure, Some(Failure::Malformed));
}

#[test]
fn a_fresh_point_off_the_curve_ends_it() {
    let installation = without_documents();
    let mut tool = tool(&installation);
    tool.spoil_auth0 = |data| data[40] ^= 1;
    tool.run();
    control_flow(&tool, 0);
}

#[test]
fn a_key_slot_must_name_one_known_credential() {
    let installation = without_documents();
    let credential = installation.credential.public();
    let other = Key::named("another").public();
    for (known, expected) in [
        (vec![other, credential], None),
        (vec![other], Some(ReaderStatus::KEY_NOT_FOUND)),
        (
            vec![credential, credential],
            Some(ReaderStatus::KEY_NOT_FOUND),
        ),
    ] {
        let mut config = installation.reader_config();
        config.interface = aliro::identifier::Interface::NFC;
        config.key_slots = Some(known);
        let entropy = aliro::crypto::RingEntropy;
        let terminal = aliro::reader::Terminal::new(config, None, &entropy).unwrap();
        let seen = installation
            .field_of(terminal, installation.card(None))
            .run(untouched);
        assert_eq!(seen.finished, expected.is_none());
        let failure = expected.map(Failure::NotAuthenticated);
        assert_eq!(seen.reader_failure, failure);
        assert_eq!(seen.status.filter(|status| !status.is_success()), expected);
    }
}

#[test]
fn another_application_type_or_name_ends_it_without_a_reason() {
    let installation = without_documents();
    // In the answer to SELECT: 6F .. 84 09 AID, A5 .. 80 02 type
    for at in [12, 17] {
        let seen = installation.field().run(|number, way, apdu| {
            if (number, way) == (0, common::Way::ToReader) {
                apdu[at] ^= 1;
            }
        });
        assert_eq!(seen.reader_failure, Some(Failure::Malformed));
        let (last, _) = seen.apdus.last().unwrap();
        assert_eq!(last[1], ins::CONTROL_FLOW);
        assert_eq!(last[5..], [0x41, 1, 0, 0x42, 1, 0]);
    }
}
