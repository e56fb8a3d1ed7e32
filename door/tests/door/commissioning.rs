//! How a controller joins a property.

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use latchkey_door::{
    ClockNotSet, Controller, DoorError, InstallError, RunConfig, StartError, Status, StoreError,
};
use latchkey_env::OffsetClock;
use latchkey_protocol::bytes::Base64;
use latchkey_protocol::clock::TimeRefused;
use latchkey_protocol::commissioning::{Package, PackageError};
use latchkey_protocol::ids::{DoorId, DoorNumber};
use tempfile::TempDir;

use crate::property::{Property, env};

const DOOR: DoorId = DoorId([0xd0; 12]);

fn new_controller(property: &Property) -> (TempDir, OffsetClock, Controller) {
    let folder = TempDir::new().unwrap();
    let clock = OffsetClock::new(Arc::new(property.clock.clone()), TimeDelta::zero());
    let controller = Controller::create(folder.path(), env(&clock)).unwrap();
    (folder, clock, controller)
}

fn package(property: &Property, controller: &mut Controller) -> Package {
    let offer = controller.offer().unwrap().verify().unwrap();
    assert_eq!(
        offer.code(),
        controller.code(),
        "the code is a hash of the offered keys"
    );
    property.package(DOOR, DoorNumber(7), &offer)
}

fn install(
    controller: &mut Controller,
    package: &Package,
) -> Result<latchkey_door::Installation, InstallError> {
    controller.install(&serde_json::to_string(package).unwrap())
}

#[tokio::test]
async fn the_code_stays_and_the_package_is_kept() {
    let property = Property::new();
    let (folder, clock, mut controller) = new_controller(&property);
    let code = controller.code();
    let package = package(&property, &mut controller);
    assert!(matches!(
        controller.start(RunConfig::default()).await,
        Err(StartError::NotInstalled)
    ));
    let mut controller = Controller::open(folder.path(), env(&clock)).unwrap();
    assert_eq!(controller.code(), code);
    let installed = install(&mut controller, &package).unwrap();
    assert_eq!(
        installed.clock,
        Err(ClockNotSet::NoTime),
        "the time answered another run's offer"
    );
    drop(controller);
    let controller = Controller::open(folder.path(), env(&clock)).unwrap();
    assert_eq!(controller.door(), Some(DOOR));
    let status = Status::of_folder(folder.path()).unwrap();
    assert_eq!(status.place.unwrap().door, DOOR);
    assert_eq!((status.statements.all, status.iteration), (1, 1));
    assert!(status.to_string().contains(&code.to_string()));
}

#[test]
fn the_clock_is_set_by_an_answer_within_ten_seconds() {
    let property = Property::new();
    for (seconds, clock_set) in [
        (0, Ok(())),
        (9, Ok(())),
        (11, Err(ClockNotSet::Refused(TimeRefused::TooLate))),
    ] {
        let (_folder, _clock, mut controller) = new_controller(&property);
        let package = package(&property, &mut controller);
        property.clock.advance(Duration::from_secs(seconds));
        assert_eq!(
            install(&mut controller, &package).unwrap().clock,
            clock_set,
            "{seconds}"
        );
    }
}

#[test]
fn a_package_that_does_not_hold_together_is_refused() {
    let property = Property::new();
    let elsewhere = Property::new();
    let (_folder, _clock, mut controller) = new_controller(&property);
    let (_other_folder, _other_clock, mut other) = new_controller(&property);
    let good = package(&property, &mut controller);
    let for_another = package(&property, &mut other);
    let wrong = [
        (for_another, PackageError::NotOurKey),
        (
            Package {
                door: DoorId([9; 12]),
                time: None,
                ..good.clone()
            },
            PackageError::NotOurDoor,
        ),
        (
            Package {
                reader_ca_key: elsewhere.reader_ca.public().as_bytes().as_slice().into(),
                ..good.clone()
            },
            PackageError::BadCertificate,
        ),
    ];
    for (package, error) in wrong {
        match install(&mut controller, &package) {
            Err(InstallError::Refused(refused)) => assert_eq!(refused, error),
            other => panic!("{other:?}"),
        }
    }
    let forged = Package {
        issuer_key: elsewhere.issuer.public().as_bytes().as_slice().into(),
        ..good.clone()
    };
    assert!(matches!(
        install(&mut controller, &forged),
        Err(InstallError::Refused(PackageError::BadStatement(_)))
    ));
    let gap = Package {
        statements: vec![Base64(vec![0; 10])],
        ..good.clone()
    };
    assert!(install(&mut controller, &gap).is_err());
    assert!(matches!(
        controller.install("{}"),
        Err(InstallError::Malformed(_))
    ));
    assert_eq!(controller.door(), None, "nothing of all that was kept");
    install(&mut controller, &good).unwrap();
    assert!(matches!(
        install(&mut controller, &good),
        Err(InstallError::InstalledAlready)
    ));
}

#[test]
fn one_process_at_a_time_holds_a_folder() {
    let property = Property::new();
    let (folder, clock, controller) = new_controller(&property);
    let second = Controller::open(folder.path(), env(&clock));
    assert!(matches!(second, Err(DoorError::Store(StoreError::InUse))));
    drop(controller);
    assert!(matches!(
        Controller::create(folder.path(), env(&clock)),
        Err(DoorError::Store(StoreError::Exists))
    ));
    Controller::open(folder.path(), env(&clock)).unwrap();
    let empty = TempDir::new().unwrap();
    assert!(matches!(
        Controller::open(empty.path(), env(&clock)),
        Err(DoorError::Store(StoreError::Missing))
    ));
}

#[tokio::test]
async fn a_controller_with_a_network_waits_for_its_installer() {
    use wiremock::matchers::{method, path};
    use wiremock::{Mock, MockServer, Request, ResponseTemplate};

    let property = Property::new();
    let (_folder, _clock, mut controller) = new_controller(&property);
    let package = package(&property, &mut controller);
    let portal = MockServer::start().await;
    let code = controller.code().to_string();
    let offered = |request: &Request| {
        let offer: latchkey_protocol::api::doors::ControllerOffer =
            request.body_json().expect("an offer");
        let signed = latchkey_protocol::commissioning::SignedOffer::from_bytes(&offer.offer.0);
        match signed.unwrap().verify() {
            Ok(_) => ResponseTemplate::new(202),
            Err(_) => ResponseTemplate::new(400),
        }
    };
    Mock::given(method("POST"))
        .and(path("/v1/commissioning"))
        .respond_with(offered)
        .expect(1)
        .mount(&portal)
        .await;
    let mine = format!("/v1/commissioning/{code}");
    Mock::given(method("GET"))
        .and(path(&mine))
        .respond_with(ResponseTemplate::new(404))
        .up_to_n_times(2)
        .mount(&portal)
        .await;
    let installed = serde_json::json!({
        "property": property.id,
        "door": DOOR,
        "generation": 1,
        "package": package,
    });
    Mock::given(method("GET"))
        .and(path(&mine))
        .respond_with(ResponseTemplate::new(200).set_body_json(installed))
        .mount(&portal)
        .await;
    let url = portal.uri().parse().unwrap();
    let passing = async {
        loop {
            property.clock.sleepers_at_least(1).await;
            property.clock.advance(Duration::from_millis(20));
            for _ in 0..200 {
                tokio::task::yield_now().await;
            }
        }
    };
    let installation = tokio::select! {
        waited = latchkey_door::wait_for_installer(&mut controller, &url) => waited.unwrap(),
        () = passing => unreachable!("time does not end"),
    };
    assert_eq!(installation.door, DOOR);
    assert_eq!(controller.door(), Some(DOOR));
    assert!(installation.clock.is_err(), "the line brings the time");
}
