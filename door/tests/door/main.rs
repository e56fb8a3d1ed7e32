//! A real controller with a real store, and everything around it played by the tests: the
//! property's issuer, phones (with Aliro's own device side), guests, the portal's end of the line.

#![expect(
    clippy::unwrap_used,
    reason = "what fails here fails its test, and says where"
)]

mod bundles;
mod codes;
mod commissioning;
#[cfg(target_os = "linux")]
mod disk;
mod fast;
mod gestures;
mod guest;
mod interrupted;
mod killed;
mod lent_time;
mod line;
mod logs;
mod old_stores;
mod phone;
mod phones;
mod portal;
mod power;
mod program;
mod property;
mod secrets;
mod street;
mod uses;
