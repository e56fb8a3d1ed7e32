//! One transaction with a device.

use std::net::TcpStream;
use std::sync::Arc;

use aliro::certificate::CompressedCertificate;
use aliro::command::{ExchangeCommand, Policy, ReaderStatus};
use aliro::crypto::{PublicKey, RingEntropy};
use aliro::identifier::{Interface, ReaderIdentifier, VERSION_1_0};
use aliro::proprietary::ProprietaryInformation;
use aliro::reader::{
    Authenticated, CertificateDelivery, Memory, OutOfTurn, Phase, ReaderConfig, ReaderKey,
    Terminal, TerminalEvent,
};
use serde_json::{Value, json};

use super::decide::Knowledge;
use super::shared::{self, Outcome, Signer, bytes, exactly, is_ble};

pub(crate) struct Reader {
    key: Signer,
    config: ReaderConfig,
    knowledge: Knowledge,
    fast: bool,
    step_up: bool,
    command_limit: Option<u8>,
}

/// What is known of a transaction so far.
#[derive(Default)]
struct Progress {
    credential: Option<PublicKey>,
    phase: Option<&'static str>,
    elements: Vec<String>,
    reason: Option<String>,
    opened: bool,
}

impl Reader {
    pub(crate) fn new(config: &Value) -> Outcome<Self> {
        let key = Signer::new(&exactly::<32>(config, "reader_priv")?)?;
        let identifier = ReaderIdentifier::from(exactly::<32>(config, "reader_identifier")?);
        let reader_key = match bytes(config, "cert")? {
            None => ReaderKey::Direct(key.public),
            Some(certificate) => ReaderKey::Certified {
                certificate: CompressedCertificate::from_bytes(&certificate)?,
                issuer: PublicKey::from_uncompressed(&exactly::<65>(config, "issuer_pub")?)?,
                delivery: match config["load_cert"] {
                    Value::Bool(true) => CertificateDelivery::LoadCert,
                    _ => CertificateDelivery::InAuth1,
                },
            },
        };
        let knowledge = Knowledge::new(config)?;
        let mut reader = ReaderConfig::new(identifier, reader_key);
        reader.policy = Policy::DeviceSetting;
        reader.interface = if is_ble(config) {
            Interface::BLE
        } else {
            Interface::NFC
        };
        if config["want_key"] == Value::Bool(false) {
            reader.key_slots = Some(knowledge.known.clone());
        }
        let limit = config["command_limit"].as_u64();
        Ok(Self {
            key,
            config: reader,
            knowledge,
            fast: config["fast"] == Value::Bool(true),
            step_up: config["stepup"] == Value::Bool(true),
            command_limit: limit.map(|limit| limit.clamp(1, 255) as u8),
        })
    }

    /// Runs one transaction; the report.
    pub(crate) fn run(&mut self, stream: &mut TcpStream) -> Value {
        let mut progress = Progress::default();
        if let Err(error) = self.transact(stream, &mut progress) {
            progress.reason.get_or_insert_with(|| error.to_string());
        }
        json!({
            "ok": progress.opened,
            "phase": progress.phase,
            "reason": progress.reason,
            "credential": progress.credential.map(|key| hex::encode(key.as_bytes())),
            "access_elements": progress.elements,
            "kpersistent": self.knowledge.memory.to_json(),
            "revoked": self.knowledge.revoked(),
            "iteration": self.knowledge.iteration(),
        })
    }

    fn transact(&mut self, stream: &mut TcpStream, progress: &mut Progress) -> Outcome<()> {
        // A standard transaction makes a persistent key, too; only asking for
        // the fast phase is a matter of the flag.
        let memory: Arc<dyn Memory> = self.knowledge.memory.clone();
        let mut terminal = Terminal::new(self.config.clone(), Some(memory), &RingEntropy)?;
        if !self.fast {
            terminal = terminal.without_fast();
        }
        if let Some(limit) = self.command_limit {
            terminal = terminal.with_command_limit(limit);
        }
        let mut events = match self.config.interface {
            Interface::BLE => {
                let announced = ProprietaryInformation::new(&[VERSION_1_0], None);
                terminal.start_selected(announced)?
            }
            _ => terminal.start()?,
        };
        while !events.is_empty() {
            let mut next = Vec::new();
            for event in events {
                next.extend(self.on_event(event, &mut terminal, stream, progress)?);
            }
            events = next;
        }
        Ok(())
    }

    fn on_event(
        &mut self,
        event: TerminalEvent,
        terminal: &mut Terminal,
        stream: &mut TcpStream,
        progress: &mut Progress,
    ) -> Outcome<Vec<TerminalEvent>> {
        Ok(match event {
            TerminalEvent::Send(apdu) => {
                shared::send(stream, &apdu)?;
                match shared::receive(stream)? {
                    Some(answer) => terminal.on_apdu(&answer),
                    None => return Err("the device hung up".into()),
                }
            }
            TerminalEvent::Sign(message) => terminal.signed(self.key.sign(&message))?,
            TerminalEvent::Authenticated(who) => self.authenticated(&who, terminal, progress)?,
            TerminalEvent::Documents(documents) => {
                progress.phase = Some("stepup");
                let credential = progress.credential.ok_or("documents of nobody")?;
                match self.knowledge.decide(&credential, &documents) {
                    Ok(elements) => {
                        progress.elements = elements;
                        self.open(terminal)?
                    }
                    Err(error) => {
                        progress.reason = Some(error.to_string());
                        terminal.finish(ReaderStatus::INVALID_ACCESS_RIGHTS)?
                    }
                }
            }
            TerminalEvent::Exchanged(_) | TerminalEvent::Finished => {
                progress.opened = true;
                Vec::new()
            }
            TerminalEvent::Failed(failure) => {
                progress.reason.get_or_insert_with(|| failure.to_string());
                Vec::new()
            }
        })
    }

    fn authenticated(
        &mut self,
        who: &Authenticated,
        terminal: &mut Terminal,
        progress: &mut Progress,
    ) -> Result<Vec<TerminalEvent>, OutOfTurn> {
        progress.credential = Some(who.credential);
        progress.phase = Some(match who.phase {
            Phase::Fast => "fast",
            Phase::Standard => "standard",
        });
        if self.step_up {
            // With step-up a document is always asked for.
            return match who.phase {
                Phase::Fast => terminal.prove(),
                Phase::Standard => terminal.request_documents(&self.knowledge.request()),
            };
        }
        if self.knowledge.is_known(&who.credential) {
            return self.open(terminal);
        }
        let (reason, status) = if self.knowledge.is_revoked(&who.credential) {
            ("revoked", ReaderStatus::NOT_TRUSTED)
        } else {
            ("credential not known", ReaderStatus::KEY_NOT_FOUND)
        };
        progress.reason = Some(reason.to_owned());
        terminal.finish(status)
    }

    /// Over NFC with the final status; over BLE by releasing the ranging key.
    fn open(&self, terminal: &mut Terminal) -> Result<Vec<TerminalEvent>, OutOfTurn> {
        terminal.remember();
        match self.config.interface {
            Interface::BLE => terminal.exchange(&ExchangeCommand {
                ranging_key: true,
                ..ExchangeCommand::default()
            }),
            _ => terminal.finish(ReaderStatus::UNSECURED),
        }
    }
}
