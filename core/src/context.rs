//! What the parts of a phone share: wallet, keys, clock, and one client a portal.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use chrono::TimeDelta;
use latchkey_protocol::ids::PropertyId;

use crate::codes::SignedCodes;
use crate::error::{Error, Invalid};
use crate::portal::{PortalAddress, PortalClient, Shared};
use crate::wallet::{PortalRecord, PropertyRecord, RowId, Tx};

pub(crate) struct Context {
    pub(crate) shared: Shared,
    /// The outbox is sent by one at a time, so that its order holds.
    pub(crate) sending: tokio::sync::Mutex<()>,
    /// Tells whoever follows a portal that the outbox has something for it.
    pub(crate) something_waits: tokio::sync::Notify,
    pub(crate) codes: SignedCodes,
    portals: Mutex<HashMap<RowId, Arc<PortalClient>>>,
}

impl Context {
    pub(crate) fn new(shared: Shared) -> Self {
        Self {
            shared,
            sending: tokio::sync::Mutex::new(()),
            something_waits: tokio::sync::Notify::new(),
            codes: SignedCodes::default(),
            portals: Mutex::new(HashMap::new()),
        }
    }

    /// The portals at which somebody is, or was, signed in.
    pub(crate) fn portals(&self) -> Result<Vec<Arc<PortalClient>>, Error> {
        let records = self.shared.wallet.read(|tx| tx.portals())?;
        records
            .iter()
            .map(|(id, record)| self.client(*id, record))
            .collect()
    }

    /// A portal by its row.
    pub(crate) fn portal(&self, id: RowId) -> Result<Arc<PortalClient>, Error> {
        self.shared.wallet.read(|tx| self.portal_in(tx, id))
    }

    /// The same, for whoever reads the wallet already.
    pub(crate) fn portal_in(&self, tx: &Tx<'_>, id: RowId) -> Result<Arc<PortalClient>, Error> {
        let record = tx.portal(id)?.ok_or(Error::NotSignedIn)?;
        self.client(id, &record)
    }

    /// A property and the portal that it came from.
    pub(crate) fn property(
        &self,
        property: PropertyId,
    ) -> Result<(PropertyRecord, Arc<PortalClient>), Error> {
        let record = self
            .shared
            .wallet
            .read(|tx| tx.property(property))?
            .ok_or(Invalid::Property)?;
        let portal = self.portal(record.portal)?;
        Ok((record, portal))
    }

    /// Puts a client in place of the one that there may be.
    pub(crate) fn adopt(&self, client: Arc<PortalClient>) {
        self.clients().insert(client.id, client);
    }

    /// Forgets a portal's client.
    pub(crate) fn forget(&self, id: RowId) {
        self.clients().remove(&id);
    }

    fn client(&self, id: RowId, record: &PortalRecord) -> Result<Arc<PortalClient>, Error> {
        if let Some(client) = self.clients().get(&id) {
            return Ok(client.clone());
        }
        let client = Arc::new(PortalClient::new(
            self.shared.clone(),
            id,
            PortalAddress::parse(&record.url)?,
            record.account_label.clone(),
            TimeDelta::milliseconds(record.clock_offset_ms),
        ));
        Ok(self.clients().entry(id).or_insert(client).clone())
    }

    fn clients(&self) -> std::sync::MutexGuard<'_, HashMap<RowId, Arc<PortalClient>>> {
        self.portals.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
