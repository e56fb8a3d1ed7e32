//! What a device must refuse beside the certification's cases, and what it
//! offers.
#![expect(clippy::unwrap_used, reason = "a test says what failed by failing")]

mod common;

use std::sync::Arc;

use aliro::apdu::Command;
use aliro::command::{ExchangeCommand, ExchangeResult, StatusWord, ins};
use aliro::crypto::RingEntropy;
use aliro::device::{self, CardEvent, Disclosure};
use aliro::identifier::Interface;
use aliro::mailbox::{Operation, Session};
use common::Installation;
use common::mailbox::{mailbox, request, with_mailbox};
use common::tool::ToolReader;

fn tool(installation: &Installation) -> ToolReader<'_> {
    ToolReader::new(installation, installation.card(None))
}

#[test]
fn a_notification_is_taken_where_it_is_offered_and_refused_elsewhere() {
    let installation = Installation::new();
    let notify = ExchangeCommand {
        notify: Some(b"\x82\x02\x00\x01".to_vec()),
        ..ExchangeCommand::default()
    };
    let mut refusing = tool(&installation);
    refusing.standard();
    assert_eq!(refusing.exchange(&notify).1, ExchangeResult::FAILED);
    let card = installation.card(None).with_notifications();
    let mut taking = ToolReader::new(&installation, card);
    taking.standard();
    assert_eq!(taking.exchange(&notify).1, ExchangeResult::OK);
    assert!(
        taking
            .seen
            .contains(&CardEvent::Notified(b"\x82\x02\x00\x01".to_vec()))
    );
}

#[test]
fn what_interrupts_a_mailbox_session_drops_it() {
    let (installation, mailbox) = (Installation::new(), mailbox());
    let mut tool = with_mailbox(&installation, &mailbox);
    let before = mailbox.0.lock().unwrap().bytes.clone();
    let set = Operation::Set {
        offset: 0,
        length: 8,
        value: 0xee,
    };
    tool.exchange(&request(Session::GoesOn, vec![set]));
    let (asked, _) = installation.documents.clone().unwrap();
    assert!(tool.envelope(&asked).is_ok());
    tool.exchange(&request(Session::Ends, vec![]));
    assert_eq!(mailbox.0.lock().unwrap().bytes, before);
}

#[test]
fn a_device_reports_its_documents_times() {
    let installation = Installation::new();
    let mut tool = tool(&installation);
    let signed = Some(*b"2026-02-01T08:00:00Z");
    tool.disclosure = Disclosure::documents(signed, signed);
    let answer = tool.standard();
    assert_eq!(
        (answer.access_signed, answer.revocation_signed),
        (signed, signed)
    );
}

#[test]
fn a_ca_that_signs_without_a_certificate_is_not_a_reader() {
    let mut installation = Installation::new();
    installation.reader = installation.issuer.clone();
    let mut tool = tool(&installation);
    tool.select();
    tool.auth0();
    let mut auth1 = tool.auth1_command();
    auth1.certificate = None;
    let refused = tool.auth1_with(auth1.encode()).unwrap_err();
    assert_eq!(refused.status, StatusWord::SECURITY);
}

#[test]
fn a_certificate_comes_by_one_way_only() {
    let installation = Installation::new();
    let mut tool = tool(&installation);
    tool.select();
    tool.auth0();
    let certificate = installation.certificate.as_bytes().to_vec();
    let load = Command::aliro(ins::LOAD_CERT, certificate);
    assert_eq!(tool.command(load).status, StatusWord::OK);
    let auth1 = tool.auth1_command().encode();
    let refused = tool.auth1_with(auth1).unwrap_err();
    assert_eq!(refused.status, StatusWord::MALFORMED);
}

#[test]
fn every_field_of_auth0_has_its_bounds() {
    let installation = Installation::new();
    // Offset in the command's data, and a value that cannot stand there.
    for (at, value) in [
        (2, 0x02),  // command parameters beyond bit 0
        (5, 0x00),  // a policy below those there are
        (5, 0x04),  // and above
        (12, 0x05), // a point that is not uncompressed
        (76, 0xff), // a point that is not on the curve
        (1, 0x02),  // a length
    ] {
        let mut tool = tool(&installation);
        tool.select();
        let auth0 = tool.auth0_command(false);
        let mut data = auth0.encode();
        assert_ne!(data[at], value);
        data[at] = value;
        let status = tool.auth0_with(auth0, data).status;
        assert_eq!(status, StatusWord::MALFORMED, "{value:02x} at {at}");
        tool.ended();
    }
}

#[test]
fn every_command_has_its_class() {
    let installation = Installation::new();
    let mut tool = tool(&installation);
    tool.select();
    let mut command = Command::aliro(ins::AUTH0, tool.auth0_command(false).encode());
    command.cla = 0x00;
    assert_eq!(tool.command(command).status, StatusWord::BAD_CLASS);
    tool.ended();
}

#[test]
fn the_preferred_credential_answers_and_a_slot_names_it() {
    let installation = Installation::new();
    let other = common::Key::named("another credential");
    let mut config = installation.device_config();
    config.interface = Interface::NFC;
    let mut second = config.credentials[0].clone();
    second.public_key = other.public();
    config.credentials.push(second);
    let card = device::Card::new(config, None, Arc::new(RingEntropy));
    let mut tool = ToolReader::new(&installation, card);
    tool.select();
    tool.auth0();
    let mut auth1 = tool.auth1_command();
    auth1.want_public_key = false;
    let answer = tool.auth1_with(auth1.encode()).unwrap();
    let slot = installation.credential.public().key_slot();
    assert_eq!(
        answer.credential,
        Some(aliro::command::CredentialName::KeySlot(slot))
    );
}
