//! What a phone carries in and out once its holder has been answered, or instead of opening.

use latchkey_protocol::private::PrivateMessage;
use tokio::io::{AsyncRead, AsyncWrite};

use super::session::{Ended, Phone, Stage};
use aliro::reader::Event;

/// Whether a message is part of it.
pub(super) fn belongs(message: &PrivateMessage) -> bool {
    matches!(
        message,
        PrivateMessage::Carry
            | PrivateMessage::BundleHeader(_)
            | PrivateMessage::BundlePage(_)
            | PrivateMessage::LogReceipt(_)
            | PrivateMessage::TakeLog { .. }
            | PrivateMessage::Time(_)
    )
}

impl<S: AsyncRead + AsyncWrite + Unpin> Phone<'_, S> {
    pub(super) async fn lock_sync(&mut self, message: PrivateMessage) -> Result<Vec<Event>, Ended> {
        let door = self.door.clone();
        let answer = match message {
            PrivateMessage::Carry => {
                // A phone that has come to carry commits to nothing any more.
                self.stage = self.answered();
                let needs = door.needs(self.number, self.known).await?;
                Some(PrivateMessage::Needs(Box::new(needs)))
            }
            // Whatever comes before that belongs to an opening.
            _ if !matches!(self.stage, Stage::Answered { .. }) => return Err(Ended::Private),
            PrivateMessage::BundleHeader(header) => {
                door.take_bundle_header(header).await?;
                None
            }
            PrivateMessage::BundlePage(page) => {
                door.take_bundle_page(page).await?;
                None
            }
            PrivateMessage::LogReceipt(receipt) => {
                door.take_log_receipt(receipt).await?;
                None
            }
            PrivateMessage::Time(answer) => {
                door.take_time(self.number, answer).await?;
                None
            }
            PrivateMessage::TakeLog { after } => {
                // Sealed as it is, it is made for those only who have shown a grant here: it costs the door
                // more than it costs whoever asks.
                let parcel = match self.known {
                    true => door.log_parcel(after).await?,
                    false => None,
                };
                Some(PrivateMessage::Log(parcel))
            }
            _ => return Err(Ended::Private),
        };
        let mut events = self.brought();
        if let Some(answer) = answer {
            events.extend(self.session.send_third_party(&answer.encode())?);
        }
        Ok(events)
    }
}
