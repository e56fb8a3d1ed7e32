//! A withdrawal is obeyed: at once where there is a network, with the next visitor where there is none.

use anyhow::{Context as _, Result};
use latchkey_core::unlock::CarrierKind;
use latchkey_protocol::ids::KeyId;
use latchkey_protocol::rules::Reason;

use super::Ending;
use super::ch3_guest::Guest;
use super::scene::{Scene, since};
use crate::estate::Handset;

pub(crate) async fn at_an_online_door(scene: &mut Scene<'_>, guest: &Guest) -> Result<KeyId> {
    scene
        .narrator
        .chapter("A key is withdrawn, and an online door refuses it within a second");
    let (ines, parcels) = (scene.ines.clone(), scene.parcels.clone());
    scene
        .opens(&parcels, "Main gate", Handset::only(CarrierKind::Stream))
        .await?;
    let key = parcels.key("Parcels")?.key;
    let desk = scene.desk()?;
    let begun = scene.estate.clock.monotonic();
    desk.withdraw(key).await?;
    scene.narrator.step(
        Ending::Done,
        &ines.label,
        "withdrew \"Parcels\"",
        Some(since(&scene.estate, begun)),
    );
    scene.until_dead(key, "Main gate", begun).await?;
    scene
        .refused(&parcels, "Main gate", Reason::Revoked)
        .await?;
    let begun = scene.estate.clock.monotonic();
    desk.withdraw(guest.key).await?;
    scene.narrator.step(
        Ending::Done,
        &ines.label,
        "withdrew \"Sunday visitor\"",
        Some(since(&scene.estate, begun)),
    );
    scene.until_dead(guest.key, "Main gate", begun).await?;
    let code = guest.browser.lock().await.code(true)?;
    scene
        .shows("Sunday visitor", &code, "Main gate", Some(Reason::Revoked))
        .await?;
    Ok(key)
}

pub(crate) async fn at_an_offline_door(
    scene: &mut Scene<'_>,
    guest: &Guest,
    _withdrawn: &KeyId,
) -> Result<()> {
    scene
        .narrator
        .chapter("The same at a gate without a network, once any phone has been there");
    let (akua, parcels) = (scene.akua.clone(), scene.parcels.clone());
    scene
        .opens(&parcels, "North gate", Handset::only(CarrierKind::Stream))
        .await?;
    scene
        .narrator
        .note("The North gate has not heard of it yet. A grant would end by itself within a week.");
    akua.phone
        .sync()
        .await
        .context("Akua's phone gets the news")?;
    scene
        .opens(&akua, "North gate", Handset::only(CarrierKind::Stream))
        .await?;
    scene
        .narrator
        .note("Akua’s phone brought the revocation list along, as every phone does.");
    scene
        .refused(&parcels, "North gate", Reason::Revoked)
        .await?;
    let code = guest.browser.lock().await.code(true)?;
    scene
        .shows("Sunday visitor", &code, "North gate", Some(Reason::Revoked))
        .await
}

pub(crate) async fn what_staff_see(scene: &mut Scene<'_>, withdrawn: &KeyId) -> Result<()> {
    scene
        .narrator
        .chapter("Staff see what became of the withdrawal, from the doors’ own signatures");
    let (akua, ines) = (scene.akua.clone(), scene.ines.clone());
    akua.phone
        .sync()
        .await
        .context("Akua's phone hands over what the North gate signed")?;
    let desk = scene.desk()?;
    let withdrawal = || -> Result<_> {
        let keys = desk.desk().keys()?;
        let key = keys
            .into_iter()
            .find(|key| key.id == *withdrawn)
            .context("the withdrawn key is not listed")?;
        key.withdrawal
            .context("the withdrawn key says nothing of its withdrawal")
    };
    scene
        .until("every door proves the withdrawal", async || {
            ines.phone.sync().await?;
            Ok(withdrawal()?
                .doors
                .iter()
                .all(|door| door.dead_at.is_some()))
        })
        .await?;
    for door in withdrawal()?.doors {
        let name = scene.estate.door_name(door.door);
        let at = door
            .dead_at
            .context("it was there a moment ago")?
            .format("%H:%M:%S");
        scene.narrator.step(
            Ending::Done,
            &name,
            &format!("signed that \"Parcels\" is dead there, known at {at} UTC"),
            None,
        );
    }
    Ok(())
}
