//! The certification tool's cases for user devices over NFC (group C), each as
//! a test of its name, the tool's side played from the public notes.
#![expect(clippy::unwrap_used, reason = "a test says what failed by failing")]

mod common;

use std::sync::Arc;

use aliro::apdu::{Command, Limits};
use aliro::command::{
    Cryptogram, ExchangeCommand, ExchangeResult, Policy, ReaderStatus, Signaling, StatusWord, ins,
};
use aliro::crypto::RingEntropy;
use aliro::device::{self, BoundedMemory, CardEvent, GroupBinding, Memory as _, Trust};
use aliro::identifier::{Interface, ReaderIdentifier};
use aliro::mailbox::{Operation, Session};
use aliro::proprietary::ExtendedLength;
use aliro::reader::CertificateDelivery;
use aliro::tlv;
use common::mailbox::{mailbox, read, request, with_mailbox};
use common::tool::ToolReader;
use common::{Installation, untouched};

const LARGE: ExtendedLength = ExtendedLength {
    max_command: 0x0e00,
    max_response: 0x0e00,
};

fn tool(installation: &Installation) -> ToolReader<'_> {
    ToolReader::new(installation, installation.card(None))
}

fn certified(delivery: CertificateDelivery, extended: bool) {
    let installation = Installation {
        delivery,
        extended: extended.then_some(LARGE),
        documents: None,
        ..Installation::new()
    };
    let terminal = installation.terminal(None);
    let terminal = if extended {
        terminal
    } else {
        terminal.with_command_limit(100)
    };
    let seen = installation
        .field_of(terminal, installation.card(None))
        .run(untouched);
    assert!(seen.finished, "{seen:?}");
    let chained = seen.apdus.iter().any(|(command, _)| command[0] & 0x10 != 0);
    let long = seen.apdus.iter().any(|(command, _)| command.len() > 260);
    assert_eq!(chained, !extended);
    assert_eq!(long, extended && delivery == CertificateDelivery::InAuth1);
}

#[test]
fn nfc_ud_standard_no_cert() {
    for policy in [
        Policy::DeviceSetting,
        Policy::SecureAction,
        Policy::ForceUserAuthentication,
    ] {
        let installation = Installation::new();
        let mut config = installation.device_config();
        config.interface = Interface::NFC;
        let key = installation.reader.public();
        config.credentials[0].groups[0].trust = Trust::DirectKey(key);
        let mut reader = installation.reader_config();
        reader.interface = Interface::NFC;
        reader.policy = policy;
        reader.key = aliro::reader::ReaderKey::Direct(key);
        let field = installation.field_of(
            aliro::reader::Terminal::new(reader, None, &RingEntropy).unwrap(),
            device::Card::new(config, None, Arc::new(RingEntropy)),
        );
        assert!(field.run(untouched).finished);
    }
}

#[test]
fn nfc_ud_standard_cert_in_auth1_no_chaining() {
    certified(CertificateDelivery::InAuth1, true);
}

#[test]
fn nfc_ud_standard_cert_in_auth1_with_chaining() {
    certified(CertificateDelivery::InAuth1, false);
}

#[test]
fn nfc_ud_standard_cert_in_load_cert_no_chaining() {
    certified(CertificateDelivery::LoadCert, true);
}

#[test]
fn nfc_ud_standard_cert_in_load_cert_with_chaining() {
    certified(CertificateDelivery::LoadCert, false);
}

#[test]
fn nfc_ud_standard_sixteen_groupidentifier_one_ac() {
    let mut installation = Installation::new();
    for group in 0..16 {
        installation.identifier.group = [group; 16];
        let mut config = installation.device_config();
        config.interface = Interface::NFC;
        let trust = config.credentials[0].groups[0].trust;
        config.credentials[0].groups = (0..16)
            .map(|group| GroupBinding {
                group: [group; 16],
                trust,
            })
            .collect();
        let card = device::Card::new(config, None, Arc::new(RingEntropy));
        let mut tool = ToolReader::new(&installation, card);
        tool.standard();
    }
}

/// A memory that has met this reader.
fn met(installation: &Installation) -> Arc<BoundedMemory> {
    let memory = Arc::new(BoundedMemory::new(16));
    let card = installation.card(Some(memory.clone()));
    ToolReader::new(installation, card).standard();
    memory
}

/// Asks for the fast phase; what the cryptogram says, if it opens.
fn fast(installation: &Installation, memory: &Arc<BoundedMemory>) -> Option<Cryptogram> {
    let mut tool = ToolReader::new(installation, installation.card(Some(memory.clone())));
    tool.select();
    let auth0 = tool.auth0_command(true);
    let data = auth0.encode();
    let response = tool.auth0_with(auth0, data);
    let cryptogram = response.data[69..133].try_into().unwrap();
    let credential = installation.credential.public();
    let remembered = memory.recall(&credential, &installation.identifier, Policy::DeviceSetting)?;
    let keys = tool.context().fast(&remembered.key, &credential);
    Cryptogram::open(&keys.cryptogram, &cryptogram)
}

#[test]
fn nfc_ud_fast() {
    let installation = Installation::new();
    let memory = met(&installation);
    assert_eq!(fast(&installation, &memory), Some(Cryptogram::default()));
}

#[test]
fn nfc_ud_fast_kpersistent_cache_max() {
    let mut installation = Installation::new();
    let memory = met(&installation);
    for other in 0..15 {
        installation.identifier.sub = [other; 16];
        let card = installation.card(Some(memory.clone()));
        ToolReader::new(&installation, card).standard();
    }
    installation.identifier = Installation::new().identifier;
    assert!(
        fast(&installation, &memory).is_some(),
        "the oldest of sixteen"
    );
}

#[test]
fn nfc_ud_auth0_response_chaining() {
    // An answer beyond what the short form carries is fetched piece by piece.
    // (AUTH0's own answer is short without extensions; documents are long.)
    let installation = Installation::new();
    let mut tool = tool(&installation);
    tool.standard();
    let (request, documents) = installation.documents.clone().unwrap();
    assert_eq!(tool.envelope(&request), Ok(documents));
}

#[test]
fn nfc_ud_select_response_ud_descriptor_tag() {
    // The device sends none; that the transaction completes is the rest.
    tool(&Installation::new()).standard();
}

#[test]
fn nfc_ud_select_response_ud_info_tag() {
    tool(&Installation::new()).standard();
}

#[test]
fn nfc_ud_exchange_read_request() {
    let installation = Installation::new();
    let mut tool = with_mailbox(&installation, &mailbox());
    let exchange = request(Session::Ends, vec![read(2, 3), read(0x100, 1)]);
    let (pieces, result) = tool.exchange(&exchange);
    assert_eq!(pieces, [vec![2, 3, 4], vec![0]]);
    assert_eq!(result, ExchangeResult::OK);
}

#[test]
fn nfc_ud_exchange_write_request() {
    let (installation, mailbox) = (Installation::new(), mailbox());
    let mut tool = with_mailbox(&installation, &mailbox);
    let write = Operation::Write {
        offset: 0x3fd,
        data: b"end".to_vec(),
    };
    assert_eq!(
        tool.exchange(&request(Session::Ends, vec![write])).1,
        ExchangeResult::OK
    );
    let back = tool.exchange(&request(Session::Ends, vec![read(0x3fd, 3)]));
    assert_eq!(back.0, [b"end".to_vec()]);
    assert_eq!(mailbox.0.lock().unwrap().bytes[0x3fd..], *b"end");
}

#[test]
fn nfc_ud_exchange_set_request() {
    let installation = Installation::new();
    let mut tool = with_mailbox(&installation, &mailbox());
    let set = |offset, value| Operation::Set {
        offset,
        length: 4,
        value,
    };
    let old: Vec<u8> = (0..8).collect();
    let first = tool.exchange(&request(Session::GoesOn, vec![set(0, 0xaa), read(0, 8)]));
    assert_eq!(first, (vec![old.clone()], ExchangeResult::OK));
    let last = tool.exchange(&request(Session::Ends, vec![set(4, 0xbb), read(0, 8)]));
    assert_eq!(last, (vec![old], ExchangeResult::OK));
    let after = tool.exchange(&request(Session::Ends, vec![read(0, 8)]));
    assert_eq!(after.0, [[[0xaa; 4], [0xbb; 4]].concat()]);
}

fn long_write() -> ExchangeCommand {
    let write = Operation::Write {
        offset: 0,
        data: vec![7; 700],
    };
    request(Session::Ends, vec![write, read(0, 1)])
}

#[test]
fn nfc_ud_exchange_with_chaining() {
    let installation = Installation::new();
    let mut tool = with_mailbox(&installation, &mailbox());
    tool.parts_of(100);
    assert_eq!(
        tool.exchange(&long_write()),
        (vec![vec![0]], ExchangeResult::OK)
    );
}

#[test]
fn nfc_ud_exchange_with_extended_length() {
    let installation = Installation {
        extended: Some(LARGE),
        ..Installation::new()
    };
    let mut tool = with_mailbox(&installation, &mailbox());
    tool.limits = Limits::announced(Some(LARGE));
    assert_eq!(
        tool.exchange(&long_write()),
        (vec![vec![0]], ExchangeResult::OK)
    );
}

fn step_up(request: &[u8], signaling: Signaling) {
    let installation = Installation {
        documents: Some((request.to_vec(), vec![0xd0; 800])),
        ..Installation::new()
    };
    let mut field = installation.field();
    field.disclosure.signaling = signaling;
    let seen = field.run(untouched);
    assert!(seen.finished, "{seen:?}");
    assert_eq!(seen.documents, Some(vec![0xd0; 800]));
    let selects = seen
        .apdus
        .iter()
        .filter(|(command, _)| command[1] == ins::SELECT);
    let expected = 1 + usize::from(signaling.contains(Signaling::SELECT_STEP_UP));
    assert_eq!(selects.count(), expected);
}

#[test]
fn nfc_ud_stepup_basic() {
    step_up(b"request", Signaling::ACCESS_DOCUMENT);
    step_up(
        b"request",
        Signaling::ACCESS_DOCUMENT | Signaling::SELECT_STEP_UP,
    );
}

#[test]
fn nfc_ud_stepup_ad() {
    step_up(b"aliro-a", Signaling::ACCESS_DOCUMENT);
}

#[test]
fn nfc_ud_stepup_rd() {
    step_up(b"aliro-r", Signaling::REVOCATION_DOCUMENT);
}

#[test]
fn nfc_ud_stepup_ad_rd() {
    let both = Signaling::ACCESS_DOCUMENT | Signaling::REVOCATION_DOCUMENT;
    step_up(b"aliro-a, aliro-r", both);
}

/// Sends the first `parts` parts of a chained command and no more.
fn begin_chain(tool: &mut ToolReader<'_>, ins: u8, data: &[u8]) {
    let mut apdu = vec![0x90, ins, 0, 0, 40];
    apdu.extend(&data[..40]);
    apdu.push(0);
    assert_eq!(tool.apdu(&apdu), [0x90, 0x00]);
}

#[test]
fn nfc_ud_neg_auth0_chaining_not_completed() {
    let installation = Installation::new();
    let mut tool = tool(&installation);
    tool.select();
    let auth0 = tool.auth0_command(false).encode();
    begin_chain(&mut tool, ins::AUTH0, &auth0);
    let auth1 = Command::aliro(ins::AUTH1, vec![0x41, 1, 1]);
    assert_eq!(tool.command(auth1).status, StatusWord::CHAIN_BROKEN);
    tool.ended();
}

#[test]
fn nfc_ud_neg_auth0_different_cryptogram_consecutive_fast() {
    let installation = Installation::new();
    let mut answers = Vec::new();
    let memory = Arc::new(BoundedMemory::new(16));
    let mut tool = ToolReader::new(&installation, installation.card(Some(memory)));
    for _ in 0..2 {
        tool.select();
        let auth0 = tool.auth0_command(true);
        let data = auth0.encode();
        answers.push(tool.auth0_with(auth0, data).data);
    }
    assert_ne!(answers[0][2..67], answers[1][2..67], "ephemeral keys");
    assert_ne!(answers[0][69..], answers[1][69..], "cryptograms");
}

#[test]
fn nfc_ud_neg_auth0_extra_tag() {
    let installation = Installation::new();
    let mut tool = tool(&installation);
    tool.select();
    let auth0 = tool.auth0_command(false);
    let mut data = auth0.encode();
    data.splice(3..3, [0x99, 2, 1, 2]);
    assert_eq!(tool.auth0_with(auth0, data).status, StatusWord::OK);
    let auth1 = tool.auth1_command().encode();
    assert!(tool.auth1_with(auth1).is_ok());
}

#[test]
fn nfc_ud_neg_auth0_unknown_reader_id() {
    let installation = Installation::new();
    let mut tool = tool(&installation);
    tool.select();
    let mut auth0 = tool.auth0_command(false);
    auth0.reader = ReaderIdentifier::new([0; 16], [0xbb; 16]);
    let data = auth0.encode();
    // In the usual shape here (the notes' decision), refused at AUTH1.
    assert_eq!(tool.auth0_with(auth0.clone(), data).data.len(), 67);
    let mut auth1 = tool.auth1_command();
    auth1.signature = tool.signature(auth0.reader);
    let refused = tool.auth1_with(auth1.encode()).unwrap_err();
    assert_eq!(refused.status, StatusWord::SECURITY);
    tool.ended();
}

#[test]
fn nfc_ud_neg_auth0_unsupported_protocol_version() {
    let installation = Installation::new();
    let mut tool = tool(&installation);
    tool.select();
    let mut auth0 = tool.auth0_command(false);
    auth0.version = 0x0001;
    let data = auth0.encode();
    assert_eq!(tool.auth0_with(auth0, data).status, StatusWord::CONDITIONS);
    tool.ended();
}

#[test]
fn nfc_ud_neg_auth0_wrong_p1p2() {
    let installation = Installation::new();
    let mut tool = tool(&installation);
    tool.select();
    let mut command = Command::aliro(ins::AUTH0, tool.auth0_command(false).encode());
    (command.p1, command.p2) = (1, 2);
    assert_eq!(tool.command(command).status, StatusWord::BAD_PARAMETERS);
    tool.ended();
}

#[test]
fn nfc_ud_neg_auth0_wrong_value() {
    let installation = Installation::new();
    let mut tool = tool(&installation);
    tool.select();
    let auth0 = tool.auth0_command(false);
    let mut data = auth0.encode();
    let tag = data.iter().position(|byte| *byte == 0x87).unwrap();
    data[tag] = 0x88;
    assert_eq!(tool.auth0_with(auth0, data).status, StatusWord::MALFORMED);
    tool.ended();
}

#[test]
fn nfc_ud_neg_auth1_chaining_not_completed() {
    let installation = Installation::new();
    let mut tool = tool(&installation);
    tool.select();
    tool.auth0();
    let auth1 = tool.auth1_command().encode();
    begin_chain(&mut tool, ins::AUTH1, &auth1);
    let exchange = Command::aliro(ins::EXCHANGE, vec![0; 20]);
    assert_eq!(tool.command(exchange).status, StatusWord::CHAIN_BROKEN);
    tool.ended();
}

#[test]
fn nfc_ud_neg_auth1_extra_tag() {
    let installation = Installation::new();
    let mut tool = tool(&installation);
    tool.select();
    tool.auth0();
    let mut data = tool.auth1_command().encode();
    tlv::push(&mut data, 0x9f20, b"unknown");
    assert!(tool.auth1_with(data).is_ok());
}

#[test]
fn nfc_ud_neg_auth1_wrong_p1p2() {
    let installation = Installation::new();
    let mut tool = tool(&installation);
    tool.select();
    tool.auth0();
    let mut command = Command::aliro(ins::AUTH1, tool.auth1_command().encode());
    command.p2 = 1;
    assert_eq!(tool.command(command).status, StatusWord::BAD_PARAMETERS);
    tool.ended();
}

#[test]
fn nfc_ud_neg_auth1_wrong_reader_signature() {
    let installation = Installation::new();
    let mut tool = tool(&installation);
    tool.select();
    tool.auth0();
    let mut auth1 = tool.auth1_command();
    auth1.signature = tool.signature(ReaderIdentifier::new([1; 16], [2; 16]));
    let refused = tool.auth1_with(auth1.encode()).unwrap_err();
    assert_eq!(refused.status, StatusWord::SECURITY);
    assert!(
        tool.seen
            .contains(&CardEvent::Failed(device::Failure::ReaderNotProved))
    );
    tool.ended();
}

#[test]
fn nfc_ud_neg_auth1_wrong_values() {
    let installation = Installation::new();
    let mut tool = tool(&installation);
    tool.select();
    tool.auth0();
    let auth1 = tool.auth1_command();
    let mut data = vec![0x41, 1, 1];
    tlv::push(&mut data, 0x9e, &[&auth1.signature.0[..], &[0]].concat());
    let refused = tool.auth1_with(data).unwrap_err();
    assert_eq!(refused.status, StatusWord::MALFORMED);
    tool.ended();
}

#[test]
fn nfc_ud_neg_exchange_mailbox_out_of_bounds() {
    let installation = Installation::new();
    let mut tool = with_mailbox(&installation, &mailbox());
    let beyond = request(Session::Ends, vec![read(0x011c, 0xff00)]);
    let plain = tool.exchange_raw(&beyond.encode()).unwrap();
    assert_eq!(plain.len(), 4, "no data");
    assert_eq!(plain[..2], [0, 2]);
    assert_ne!(plain[2..], [0, 0]);
    let status = ExchangeCommand::status(ReaderStatus::INVALID_CONTENT);
    assert_eq!(tool.exchange(&status).1, ExchangeResult::OK);
    assert!(
        tool.seen
            .contains(&CardEvent::ReaderStatus(ReaderStatus::INVALID_CONTENT))
    );
}

#[test]
fn nfc_ud_neg_exchange_with_chaining_not_completed() {
    let installation = Installation::new();
    let mut tool = with_mailbox(&installation, &mailbox());
    begin_chain(&mut tool, ins::EXCHANGE, &[0; 40]);
    let auth1 = Command::aliro(ins::AUTH1, vec![0x41, 1, 1]);
    assert_eq!(tool.command(auth1).status, StatusWord::CHAIN_BROKEN);
    tool.ended();
}

#[test]
fn nfc_ud_neg_exchange_with_extra_tag() {
    let installation = Installation::new();
    let mut tool = with_mailbox(&installation, &mailbox());
    let mut plain = vec![0x99, 1, 0];
    plain.extend(request(Session::Ends, vec![read(5, 1)]).encode());
    let answer = tool.exchange_raw(&plain).unwrap();
    assert_eq!(answer, [0, 1, 5, 0, 2, 0, 0]);
}

#[test]
fn nfc_ud_neg_exchange_with_wrong_length() {
    let installation = Installation::new();
    let mut tool = with_mailbox(&installation, &mailbox());
    let mut plain = request(Session::Ends, vec![read(5, 1)]).encode();
    plain[1] += 1;
    let answer = tool.exchange_raw(&plain).unwrap();
    assert_eq!(answer.len(), 4);
    assert_ne!(answer[2..], [0, 0]);
    assert_eq!(tool.control_flow().status, StatusWord::OK);
}

#[test]
fn nfc_ud_neg_standard_cert_in_load_cert_with_chaining_incorrect_format() {
    let installation = Installation::new();
    let mut tool = tool(&installation);
    tool.select();
    tool.auth0();
    tool.parts_of(100);
    let mut certificate = installation.certificate.as_bytes().to_vec();
    certificate[3] = 0x05;
    let command = Command::aliro(ins::LOAD_CERT, certificate);
    assert_eq!(tool.command(command).status, StatusWord::BAD_CERTIFICATE);
    tool.ended();
}

#[test]
fn nfc_ud_neg_standard_cert_in_load_cert_with_chaining_incorrect_signature() {
    let installation = Installation::new();
    let mut tool = tool(&installation);
    tool.select();
    tool.auth0();
    tool.parts_of(100);
    let mut certificate = installation.certificate.as_bytes().to_vec();
    *certificate.last_mut().unwrap() ^= 1;
    let command = Command::aliro(ins::LOAD_CERT, certificate);
    assert_eq!(tool.command(command).status, StatusWord::OK);
    let mut auth1 = tool.auth1_command();
    auth1.certificate = None;
    let refused = tool.auth1_with(auth1.encode()).unwrap_err();
    assert_eq!(refused.status, StatusWord::SECURITY);
    tool.ended();
}
