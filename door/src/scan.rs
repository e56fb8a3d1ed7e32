//! A line of text from any reader at the door: a USB scanner is a keyboard.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use latchkey_protocol::api::events::Means;
use latchkey_protocol::code::{Code, IssueTime};
use latchkey_protocol::doorlink::Subject;
use latchkey_protocol::ids::{AttemptId, EventId, PassId};
use latchkey_protocol::pass::{Pass, SignedPass};
use latchkey_protocol::rules::{Decision, Reason};
use latchkey_protocol::uses::NoUsesHeld;
use serde::Serialize;

use crate::door::{Door, DoorError, Gesture, Inner, Ruling, Settled, Turn, UseWanted, UseWord};
use crate::engine::{CodeFacts, Counted, UsesOfTurn, decide_code, is_signed};
use crate::link::{Question, Word};
use crate::store::{StoreError, known_pass, last_accepted};

/// What the person in front of the reader is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct ScanAnswer {
    /// Whether the lock was released.
    pub opened: bool,
    /// Why not. Missing beside `opened: false` when the lock is jammed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// When the calendar changes the answer, where it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub changes_at: Option<DateTime<Utc>>,
    /// The entry in the door's log.
    pub event: EventId,
}

impl From<Settled> for ScanAnswer {
    fn from(settled: Settled) -> Self {
        Self {
            opened: settled.moved,
            reason: settled.decision.reason(),
            changes_at: settled.decision.changes_at(),
            event: settled.event,
        }
    }
}

/// Decides what was read and carries it out.
pub(crate) async fn scan(door: &Arc<Door>, text: &str) -> Result<ScanAnswer, DoorError> {
    let Ok(code) = Code::parse(text) else {
        return Ok(door
            .note_stranger(Means::Code, Reason::WrongCode)
            .await?
            .into());
    };
    let code = Arc::new(code);
    let until = door.patience();
    let mut first = look(door, &code, UseWord::NoneHere).await?;
    if first.0.subject == Subject::Stranger {
        let reason = first.0.decision.reason().unwrap_or(Reason::WrongCode);
        return Ok(door.note_stranger(Means::Code, reason).await?.into());
    }
    // The use comes first: a code that was asked about is used, whether it opens or not.
    let mut use_word = UseWord::NoneHere;
    if let Some(wanted) = first.1 {
        use_word = door.ask_for_use(wanted, until).await;
        first = look(door, &code, use_word).await?;
    }
    let first = first.0;
    // Only somebody who would get in is worth a question, and a wait.
    let word = if first.decision.is_allowed() {
        let question = Question::Code(code.pass, code.issued);
        door.line().ask(door, question, until).await
    } else {
        Word::Silence
    };
    let settled = door
        .run(move |door| {
            let gesture = gesture_of(&code);
            door.settle(&gesture, false, |inner, paid| {
                let ruling = rule(door, inner, &code, use_word.of_turn(paid))?;
                Ok(with_word(ruling, &first, word))
            })
        })
        .await?;
    match settled {
        Turn::Settled(settled) => Ok(settled.into()),
        Turn::Wants(_) => Err(NoUsesHeld.into()),
    }
}

/// What the rules say of a code, and the use that alone would change their no.
async fn look(
    door: &Arc<Door>,
    code: &Arc<Code>,
    word: UseWord,
) -> Result<(Ruling, Option<UseWanted>), DoorError> {
    let code = code.clone();
    door.run(move |door| {
        let paid = door.was_spent(&gesture_of(&code))?;
        let inner = door.lock();
        let ruling = rule(door, &inner, &code, word.of_turn(paid))?;
        let wanted = ruling.lacks_use.map(|budget| inner.wanted(budget));
        Ok((ruling, wanted))
    })
    .await
}

/// The portal may say no to what the door would open. What the door refused when it first looked
/// stays refused: the portal was not asked.
fn with_word(ruling: Ruling, first: &Ruling, word: Word) -> Ruling {
    let decision = match word {
        _ if !ruling.decision.is_allowed() => ruling.decision,
        _ if !first.decision.is_allowed() => first.decision,
        Word::No(reason) => Decision::Denied { reason, next: None },
        Word::Yes | Word::Silence => ruling.decision,
    };
    Ruling { decision, ..ruling }
}

fn rule(door: &Door, inner: &Inner, code: &Code, turn: UsesOfTurn) -> Result<Ruling, DoorError> {
    let connection = inner.store.read();
    let installed = door.installed();
    let stated = known_pass(connection, code.pass)?
        .map(|bytes| {
            SignedPass::from_bytes(&bytes)
                .ok()
                .and_then(|signed| installed.verify_pass(&signed))
                .ok_or(StoreError::Damaged("a pass"))
        })
        .transpose()?;
    let brought = code
        .statement
        .as_ref()
        .and_then(|signed| installed.verify_pass(signed));
    let last = last_accepted(connection, code.pass)?.map(issue_time);
    let facts = CodeFacts {
        stated: stated.as_ref(),
        brought: brought.as_ref(),
        // A code that was spent before the power went is not used before: its lock never moved.
        last: last.filter(|last| !(turn.paid && *last == code.issued)),
    };
    let world = inner.world(door, turn);
    let holder = |pass: &Option<Pass>| {
        pass.as_ref()
            .is_some_and(|pass| is_signed(code, pass, &world))
    };
    let known = holder(&stated) || holder(&brought);
    let forged = code.statement.is_some() && brought.is_none() && stated.is_none();
    let counted = if forged {
        Counted::denied(Reason::WrongCode)
    } else {
        decide_code(code, &facts, &world)
    };
    Ok(Ruling {
        decision: counted.decision,
        subject: if known {
            Subject::Pass { pass: code.pass }
        } else {
            Subject::Stranger
        },
        spends: Some((code.pass, code.issued)),
        remembers: None,
        spends_use: counted.spends,
        lacks_use: counted.lacks,
    })
}

fn gesture_of(code: &Code) -> Gesture {
    Gesture {
        attempt: Some(attempt_of(code.pass, code.issued)),
        replaces: Vec::new(),
        means: Means::Code,
        owner: code.pass.as_bytes().to_vec(),
        // A picture that has opened is refused: whoever holds up a copy sees that it is one.
        answers_again: false,
    }
}

/// A code's attempt is its pass and its issue time.
fn attempt_of(pass: PassId, issued: IssueTime) -> AttemptId {
    let mut id = [0; AttemptId::LEN];
    id[..PassId::LEN].copy_from_slice(pass.as_bytes());
    id[AttemptId::LEN - 5..].copy_from_slice(&issued.to_bytes());
    AttemptId(id)
}

/// From the store's centiseconds.
fn issue_time(centiseconds: u64) -> IssueTime {
    IssueTime::from_unix_ms(centiseconds.saturating_mul(10))
}
