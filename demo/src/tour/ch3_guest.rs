//! A guest opens a link, and is let in by rotating codes.

use anyhow::{Context as _, Result};
use latchkey_protocol::ids::KeyId;
use latchkey_protocol::rules::Reason;
use tokio::sync::Mutex;

use super::Ending;
use super::scene::{Scene, since};
use crate::estate::guest_key;
use crate::guest::Browser;

const NAME: &str = "Sunday visitor";

/// A guest with a browser.
pub(crate) struct Guest {
    pub(crate) browser: Mutex<Browser>,
    pub(crate) key: KeyId,
}

pub(crate) async fn a_guest_is_invited(scene: &mut Scene<'_>) -> Result<Guest> {
    scene
        .narrator
        .chapter("A guest opens a link and is let in by a rotating code");
    let ines = scene.ines.clone();
    let desk = scene.desk()?;
    let gates = vec![
        scene.estate.door("Main gate")?,
        scene.estate.door("North gate")?,
    ];
    let key = desk.issue(guest_key(NAME, gates)).await?;
    let link = desk.share(key.id).await?;
    scene.narrator.step(
        Ending::Done,
        &ines.label,
        "issued a key for \"Sunday visitor\" and shared its link",
        None,
    );
    let begun = scene.estate.clock.monotonic();
    let browser = Browser::open(&link, &reqwest::Client::new(), scene.estate.clock.clone())
        .await
        .context("the guest's browser")?;
    let took = since(&scene.estate, begun);
    scene.narrator.step(
        Ending::Done,
        NAME,
        "opened the link and tapped \"Use on this phone\"",
        Some(took),
    );
    let code = browser.code(true)?;
    scene.shows(NAME, &code, "Main gate", None).await?;
    scene
        .shows(
            "The same picture again",
            &code,
            "Main gate",
            Some(Reason::CodeUsedBefore),
        )
        .await?;
    Ok(Guest {
        browser: Mutex::new(browser),
        key: key.id,
    })
}

pub(crate) async fn a_gate_that_never_heard_of_them(
    scene: &mut Scene<'_>,
    guest: &Guest,
) -> Result<()> {
    scene
        .narrator
        .chapter("A gate without a network that has never heard of this guest");
    let browser = guest.browser.lock().await;
    let short = browser.code(false)?;
    scene
        .shows(NAME, &short, "North gate", Some(Reason::NotYetAtThisDoor))
        .await?;
    let long = browser.code(true)?;
    scene.shows(NAME, &long, "North gate", None).await?;
    scene
        .shows(
            "The same picture again",
            &long,
            "North gate",
            Some(Reason::CodeUsedBefore),
        )
        .await?;
    scene.narrator.note(
        "The long code brings the pass along, signed by the property. The page shows it by itself.",
    );
    Ok(())
}
