//! What a door or a phone obeys of all lists that it has seen.

use aliro::crypto::PublicKey;

use super::list::RevocationList;
use crate::doorstate::ListNumber;
use crate::ids::{ElementId, PassId};
use crate::rules::Reason;

/// Lists of earlier epochs that are kept beside the latest one. Each takes a restore of the portal, and
/// the next list that the portal makes after meeting it answers for it.
const MAX_KEPT: usize = 8;

/// The newest list, and lists of other epochs that it does not answer for: a restored portal begins a new
/// epoch, and what it has forgotten of the old one must not come back to life. Which lists came first does
/// not matter.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RevocationView {
    /// The newest first.
    lists: Vec<RevocationList>,
}

/// What became of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// It is the newest now; [`RevocationView::lists`] are to be stored.
    Newest,
    /// It is kept beside a newer one that does not answer for it; they are to be stored.
    Beside,
    /// Nothing new in it.
    Known,
    /// It belongs beside the newest, but so many are kept already that something is wrong.
    Full,
}

impl RevocationView {
    /// Nothing withdrawn.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes a verified list.
    pub fn take(&mut self, list: RevocationList) -> Taken {
        let number = list.number();
        if self
            .lists
            .iter()
            .any(|held| held.content().answers_for(number))
        {
            return Taken::Known;
        }
        let newest = self.number() < number;
        let mut lists: Vec<_> = self
            .lists
            .iter()
            .filter(|held| !list.content().answers_for(held.number()))
            .cloned()
            .collect();
        if lists.len() > MAX_KEPT && !newest {
            return Taken::Full;
        }
        lists.push(list);
        lists.sort_by_key(|list| std::cmp::Reverse(list.number()));
        self.lists = lists;
        if newest { Taken::Newest } else { Taken::Beside }
    }

    /// Whether [`Self::take`] would learn something from a list of this number, as far as its number tells.
    #[must_use]
    pub fn lacks(&self, number: ListNumber) -> bool {
        !self
            .lists
            .iter()
            .any(|held| held.content().answers_for(number))
    }

    /// The number of the newest list; zeros before the first.
    #[must_use]
    pub fn number(&self) -> ListNumber {
        self.newest()
            .map_or_else(ListNumber::default, RevocationList::number)
    }

    /// The newest list: what a phone carries to doors.
    #[must_use]
    pub fn newest(&self) -> Option<&RevocationList> {
        self.lists.first()
    }

    /// All that is to be stored, the newest first.
    #[must_use]
    pub fn lists(&self) -> &[RevocationList] {
        &self.lists
    }

    /// Whether a credential is withdrawn.
    #[must_use]
    pub fn revokes_credential(&self, credential: &PublicKey) -> bool {
        self.lists
            .iter()
            .any(|list| list.content().revokes_credential(credential))
    }

    /// Why an element no longer counts; withdrawn comes before changed.
    #[must_use]
    pub fn revokes_element(&self, element: ElementId) -> Option<Reason> {
        self.lists
            .iter()
            .filter_map(|list| list.content().revokes_element(element))
            .min()
    }

    /// Whether a pass is withdrawn.
    #[must_use]
    pub fn revokes_pass(&self, pass: PassId) -> bool {
        self.lists
            .iter()
            .any(|list| list.content().revokes_pass(pass))
    }
}
