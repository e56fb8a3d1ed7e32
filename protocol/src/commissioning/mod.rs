//! How a new controller joins a property.
//!
//! It makes its keys and an [`Offer`] of them, and shows a [`CommissioningCode`], a hash over both public
//! keys. The installer's app scans the code; the portal certifies only an offer whose code matches, and
//! hands back a [`Package`]: certificate, issuer key, first statements. The controller believes it as far
//! as it can check it: the certificate is for its own key, chains to the CA named beside it and names the
//! door and generation given, and all else is signed by the issuer named there. That it *is* this property
//! rests on who stands at the door and scans the code.

mod code;
mod offer;
mod package;

pub use code::{CommissioningCode, NotACommissioningCode};
pub use offer::{Offer, SignedOffer};
pub use package::{Commissioned, Package, PackageError, certificate_subject};
