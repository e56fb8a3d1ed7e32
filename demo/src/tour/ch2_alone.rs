//! What still works when parts are missing.

use anyhow::{Result, ensure};
use latchkey_core::unlock::CarrierKind;

use super::Ending;
use super::scene::{Scene, since};
use crate::estate::Handset;

pub(crate) async fn without_the_portal(scene: &mut Scene<'_>) -> Result<()> {
    scene
        .narrator
        .chapter("The portal is switched off, and doors open all the same");
    let (akua, daniel) = (scene.akua.clone(), scene.daniel.clone());
    let unit = scene.estate.door("Unit B-04")?;
    scene
        .fail("portal", true, "killed the portal's process")
        .await?;
    scene
        .opens(&akua, "Unit B-04", Handset::only(CarrierKind::Stream))
        .await?;
    scene
        .fail("portal", false, "started the portal again")
        .await?;
    let begun = scene.estate.clock.monotonic();
    let opened = move |handset: &Handset| -> Result<usize> {
        let events = crate::estate::Desk::of(handset)?.desk().events()?;
        Ok(events
            .iter()
            .filter(|event| event.door == unit && event.denied.is_none())
            .count())
    };
    scene
        .until("the door's events arrive", async || {
            let _ = daniel.phone.sync().await;
            Ok(opened(&daniel)? >= 2)
        })
        .await?;
    ensure!(opened(&daniel)? == 2, "an event was counted twice");
    let took = since(&scene.estate, begun);
    scene.narrator.step(
        Ending::Done,
        "Unit B-04",
        "came back and reported the opening, once",
        Some(took),
    );
    Ok(())
}

pub(crate) async fn without_signal(scene: &mut Scene<'_>) -> Result<()> {
    scene
        .narrator
        .chapter("No signal at the phone, none at the gate");
    let akua = scene.akua.clone();
    let gate = scene.estate.door("Main gate")?;
    let hub = scene.estate.hub_of(gate)?.to_owned();
    scene
        .fail("phones", true, "took the signal from all phones")
        .await?;
    scene
        .fail(&hub, true, "took the Main gate off the network")
        .await?;
    scene
        .opens(&akua, "Main gate", Handset::only(CarrierKind::Stream))
        .await?;
    let key = akua.key("Home B-04")?;
    let door = scene.door("Main gate")?;
    let code = akua.phone.current_code(key, Some(door)).await?;
    scene
        .shows(
            "Akua Boateng’s rotating code",
            &code.text,
            "Main gate",
            None,
        )
        .await?;
    scene.fail(&hub, false, "put the Main gate back").await?;
    scene.fail("phones", false, "gave the signal back").await?;
    Ok(())
}
