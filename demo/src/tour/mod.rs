//! The guided tour: what a property does on a good day and on a bad one. Every chapter checks what it tells; the first
//! thing that does not go as told ends it with an error.

mod narrator;
mod scene;

mod ch1_issue;
mod ch2_alone;
mod ch3_guest;
mod ch4_withdraw;

use std::sync::Arc;

use anyhow::Result;

use crate::estate::Estate;
pub(crate) use narrator::{Ending, Narrator};
use scene::Scene;

/// Plays the tour at a property that has just started.
pub(crate) async fn play(estate: Arc<Estate>, narrator: &mut Narrator) -> Result<()> {
    let mut scene = Scene::set(estate, narrator).await?;
    ch1_issue::a_key_is_issued(&mut scene).await?;
    ch1_issue::coming_home(&mut scene).await?;
    ch1_issue::over_the_network(&mut scene).await?;
    ch2_alone::without_the_portal(&mut scene).await?;
    ch2_alone::without_signal(&mut scene).await?;
    let guest = ch3_guest::a_guest_is_invited(&mut scene).await?;
    ch3_guest::a_gate_that_never_heard_of_them(&mut scene, &guest).await?;
    let withdrawn = ch4_withdraw::at_an_online_door(&mut scene, &guest).await?;
    ch4_withdraw::at_an_offline_door(&mut scene, &guest, &withdrawn).await?;
    ch4_withdraw::what_staff_see(&mut scene, &withdrawn).await?;
    scene.narrator.end();
    Ok(())
}
