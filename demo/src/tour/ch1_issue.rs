//! A key is issued, and opens what it says.

use anyhow::{Result, ensure};
use chrono::TimeDelta;
use latchkey_core::unlock::CarrierKind;
use latchkey_protocol::api::keys::{KeyDoors, KeyDraft, KeyKind};
use latchkey_protocol::rules::{AccessRules, Reason};

use super::Ending;
use super::scene::{Scene, since};
use crate::estate::Handset;

const HOME: [&str; 4] = [
    "Unit B-04",
    "Building B entrance",
    "Main gate",
    "North gate",
];

pub(crate) async fn a_key_is_issued(scene: &mut Scene<'_>) -> Result<()> {
    scene
        .narrator
        .chapter("Staff issue a key, and it arrives by itself");
    let (ines, akua) = (scene.ines.clone(), scene.akua.clone());
    ensure!(
        akua.phone.keys()?.is_empty(),
        "Akua has a key before anybody issued one"
    );
    let desk = scene.desk()?;
    let person = desk.person("Akua Boateng")?;
    let doors = HOME
        .iter()
        .map(|name| scene.estate.door(name))
        .collect::<Result<Vec<_>>>()?;
    let mut follow = akua.phone.follow()?;
    let begun = scene.estate.clock.monotonic();
    let draft = KeyDraft {
        name: "Home B-04".to_owned(),
        kind: KeyKind::Mobile,
        persons: vec![person],
        doors: KeyDoors::Some(doors),
        rules: AccessRules::default(),
    };
    desk.issue(draft).await?;
    scene.narrator.step(
        Ending::Done,
        &ines.label,
        "issued \"Home B-04\" to Akua Boateng",
        Some(since(&scene.estate, begun)),
    );
    let begun = scene.estate.clock.monotonic();
    while akua.phone.keys()?.is_empty() {
        ensure!(
            follow.next().await.is_some(),
            "Akua's phone has stopped following"
        );
    }
    scene
        .until("the grant arrives", async || {
            Ok(akua
                .phone
                .keys()?
                .first()
                .is_some_and(|key| key.doors.len() == 4))
        })
        .await?;
    let took = since(&scene.estate, begun);
    scene.narrator.step(
        Ending::Done,
        &akua.label,
        "has it on the open phone",
        Some(took),
    );
    drop(follow);
    akua.phone.sync().await?;

    let tomorrow = (scene.estate.clock.now() + TimeDelta::days(1)).date_naive();
    let rules =
        serde_json::from_value(serde_json::json!({ "range": { "from": tomorrow.to_string() } }))?;
    let gym = KeyDraft {
        name: "Gym trial".to_owned(),
        kind: KeyKind::Mobile,
        persons: vec![person],
        doors: KeyDoors::Some(vec![scene.estate.door("Gym")?]),
        rules,
    };
    desk.issue(gym).await?;
    akua.phone.sync().await?;
    scene.narrator.step(
        Ending::Done,
        &ines.label,
        "issued \"Gym trial\", which begins tomorrow",
        None,
    );
    Ok(())
}

pub(crate) async fn coming_home(scene: &mut Scene<'_>) -> Result<()> {
    scene.narrator.chapter("A resident comes home");
    let akua = scene.akua.clone();
    for door in ["Main gate", "Building B entrance", "Unit B-04"] {
        scene
            .opens(&akua, door, Handset::only(CarrierKind::Stream))
            .await?;
    }
    let next = scene.refused(&akua, "Gym", Reason::TooEarly).await?;
    ensure!(next.is_some(), "the gym does not say when it opens");
    scene
        .narrator
        .note("A refusal names its reason, and the moment from which the answer is yes.");
    Ok(())
}

pub(crate) async fn over_the_network(scene: &mut Scene<'_>) -> Result<()> {
    scene.narrator.chapter("Opening a door from afar");
    let tomas = scene.tomas.clone();
    scene
        .opens(
            &tomas,
            "Building A entrance",
            Handset::only(CarrierKind::Relay),
        )
        .await?;
    scene.narrator.note(
        "The portal carries the conversation, sealed between phone and door: it cannot forge one.",
    );
    Ok(())
}
