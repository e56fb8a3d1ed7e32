//! The signer as a process of its own: killed at any moment, asked by those who may not, told nonsense.

use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use latchkey_portal::signer_wire::{
    Answer, Hello, MAX_FRAME, Request, Series, SignerError, decode, encode, length,
};
use latchkey_protocol::ids::{DoorId, PropertyId};
use latchkey_protocol::statement::{Addressee, Body, DoorSettings};
use latchkey_test_faults::{Dice, kills};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::load::Load;
use crate::program::{Serving, Site};
use crate::world::FILE;

/// How much is acknowledged at most before the moment comes.
const MOST: u64 = 24;
/// A few writes long.
const LONGEST: Duration = Duration::from_millis(40);

const NOBODY: PropertyId = PropertyId([7; 16]);

#[tokio::test(flavor = "multi_thread")]
async fn the_signer_is_killed_under_load_and_portals_go_on_by_themselves_when_it_is_back() {
    let dice = Dice::throw();
    let (site, mut signer) = Site::apart(FILE);
    let serving = Serving::start(&mut site.server());
    let mut load = Load::prepare(&serving).await;
    let told = load.told();
    let kills = kills();
    for _ in 0..kills {
        let killing = async {
            told.more(dice.below(MOST)).await;
            dice.moment(LONGEST).await;
            signer.kill();
            told.more_refused(4).await;
        };
        load.drive(&serving.url, killing).await;
        signer = site.start_signer(&[]);
        load.drive(&serving.url, told.more(4)).await;
        load.check(&serving.url).await;
    }
    assert!(told.was_refused_with("signer does not answer"));
    load.drive(&serving.url, told.more(MOST)).await;
    load.check_all(&serving.url).await;
    drop(serving);
    let audit = site.audit();
    let said = String::from_utf8_lossy(&audit.stdout);
    assert!(said.contains("the audit chain holds"), "{said}");
    println!("{kills} times, {} answers kept", *told.count.borrow());
}

#[test]
fn only_operators_make_properties_and_begin_epochs() {
    let (site, _signer) = Site::apart(FILE);
    let begun = site.begin_epoch(&[]);
    let said = String::from_utf8_lossy(&begun.stdout);
    assert!(said.contains("epoch 2 has begun"), "{said}");
    let property = said.split(' ').nth(1).unwrap().parse().unwrap();

    let mut portal = Peer::of(&site, "portals");
    for request in [
        Request::Create { property: NOBODY },
        Request::Create { property },
        Request::BeginEpoch { property },
    ] {
        assert_eq!(portal.refused(&request), SignerError::ForOperators);
    }
    assert_eq!(
        portal.refused(&Request::Standing { property: NOBODY }),
        SignerError::UnknownProperty
    );
    let standing = Request::Standing { property };
    let Answer::Standing(standing) = portal.ask(&standing) else {
        panic!()
    };
    assert_eq!(standing.epoch, 2, "and nothing has happened");

    // Nor does an operator make keys in place of others, by which all numbers would begin again.
    let mut operator = Peer::of(&site, "operators");
    let again = operator.refused(&Request::Create { property });
    assert!(matches!(again, SignerError::Files(_)), "{again}");
}

#[test]
fn no_portal_leads_the_signer_back_or_beyond_its_bounds() {
    let (site, signer) = Site::apart(FILE);
    let begun = site.begin_epoch(&[]);
    let said = String::from_utf8_lossy(&begun.stdout);
    let property: PropertyId = said.split(' ').nth(1).unwrap().parse().unwrap();
    let settings = |number| Request::Statement {
        property,
        addressee: Addressee::All,
        number,
        body: Body::DoorSettings(DoorSettings::default()),
    };
    let confirm = |series, number| Request::Confirm {
        property,
        series,
        number,
    };
    let mut portal = Peer::of(&site, "portals");
    let all = Series::Statements(Addressee::All);
    assert_eq!(portal.ask(&confirm(all, 100)), Answer::Done);
    assert_eq!(portal.ask(&confirm(all, 3)), Answer::Done, "which is old");
    let behind = SignerError::Behind {
        asked: 100,
        confirmed: 100,
    };
    assert_eq!(portal.refused(&settings(100)), behind);
    let lists = portal.refused(&confirm(Series::Lists, 100));
    assert!(matches!(lists, SignerError::NotSignable(_)), "{lists}");
    let forged = portal.refused(&Request::KeepList {
        property,
        document: vec![0x80],
    });
    assert!(matches!(forged, SignerError::NotSignable(_)), "{forged}");

    // It remembers, and what it signs a second is bound, over all connections.
    signer.kill();
    let _signer = site.start_signer(&["--signatures-at-once", "3", "--signatures-per-second", "1"]);
    let mut portal = Peer::of(&site, "portals");
    assert_eq!(portal.refused(&settings(100)), behind);
    let mut refused = Vec::new();
    for number in 101..120 {
        let mut portal = Peer::of(&site, "portals");
        if let Answer::Refused(error) = portal.ask(&settings(number)) {
            refused.push(error);
        }
    }
    let slower = |error: &SignerError| matches!(error, SignerError::TooFast { .. });
    assert!(!refused.is_empty() && refused.iter().all(slower));
    // Time is told all the while.
    let time = Request::Time {
        property,
        door: DoorId([1; 12]),
        nonce: [2; 16],
    };
    assert!(matches!(portal.ask(&time), Answer::Signed(_)));
}

#[test]
fn nonsense_is_answered_or_hung_up_on_and_the_signer_goes_on() {
    let (site, _signer) = Site::apart(FILE);
    // Announced, and never sent: no memory is taken for it.
    let mut long: Vec<_> = (0..40).map(|_| Peer::of(&site, "portals")).collect();
    for peer in &mut long {
        let head = u32::try_from(MAX_FRAME).unwrap().to_be_bytes();
        peer.stream.write_all(&head).unwrap();
    }
    let mut peer = Peer::of(&site, "portals");
    peer.stream.write_all(&u32::MAX.to_be_bytes()).unwrap();
    assert_eq!(peer.heard::<Answer>(), None, "longer than any frame");

    let mut peer = Peer::strange(&site, "portals");
    peer.stream.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    assert_eq!(peer.heard::<Answer>(), None);

    // One of another version hears which is wanted.
    let mut peer = Peer::strange(&site, "portals");
    peer.say(&Hello { version: 7 });
    assert_eq!(peer.heard(), Some(Hello { version: 1 }));
    assert_eq!(peer.heard::<Answer>(), None);
    drop(long);

    // The others' frames are over: it is served, and after nonsense it still is.
    let mut peer = Peer::of(&site, "portals");
    peer.say(&json!({ "sign": "everything" }));
    let Some(Answer::Refused(SignerError::NotSignable(why))) = peer.heard() else {
        panic!()
    };
    assert!(why.contains("unknown variant"), "{why}");
    let standing = Request::Standing { property: NOBODY };
    assert_eq!(peer.refused(&standing), SignerError::UnknownProperty);
}

#[test]
fn a_socket_that_others_could_enter_and_one_that_is_taken_are_refused() {
    let (site, _signer) = Site::apart(FILE);
    let taken = site.signer(&[]).output().unwrap();
    let said = String::from_utf8_lossy(&taken.stderr);
    assert!(said.contains("another signer listens there"), "{said}");

    let socket = site.socket("portals");
    let path = std::path::Path::new(socket.strip_prefix("unix:").unwrap());
    let mode = std::fs::metadata(path).unwrap().permissions().mode();
    assert_eq!(mode & 0o007, 0, "{mode:o}");
    let folder = path.parent().unwrap();
    for open in [0o755, 0o770, 0o701] {
        std::fs::set_permissions(folder, std::fs::Permissions::from_mode(open)).unwrap();
        let refused = site.signer(&[]).output().unwrap();
        let said = String::from_utf8_lossy(&refused.stderr);
        assert!(said.contains("folder of its own"), "{open:o}: {said}");
    }
}

#[test]
fn a_portal_without_its_signer_says_so_and_does_not_start() {
    let (site, signer) = Site::apart(FILE);
    signer.kill();
    let started = site.server().output().unwrap();
    assert!(!started.status.success());
    let said = String::from_utf8_lossy(&started.stderr);
    assert!(said.contains("the signer does not answer"), "{said}");
    assert!(said.contains("sockets/portals"), "{said}");
}

/// Whoever connects to a socket of the signer's.
struct Peer {
    stream: UnixStream,
}

impl Peer {
    /// Who has said hello.
    fn of(site: &Site, socket: &str) -> Self {
        let mut peer = Self::strange(site, socket);
        let hello = Hello { version: 1 };
        peer.say(&hello);
        assert_eq!(peer.heard(), Some(hello));
        peer
    }

    /// Who has not.
    fn strange(site: &Site, socket: &str) -> Self {
        let path = site.socket(socket);
        let path = path.strip_prefix("unix:").unwrap();
        Self {
            stream: UnixStream::connect(path).unwrap(),
        }
    }

    fn say(&mut self, what: &impl Serialize) {
        self.stream.write_all(&encode(what).unwrap()).unwrap();
    }

    /// None once the signer has hung up.
    fn heard<T: DeserializeOwned>(&mut self) -> Option<T> {
        let mut head = [0; 4];
        self.stream.read_exact(&mut head).ok()?;
        let mut frame = vec![0; length(head).unwrap()];
        self.stream.read_exact(&mut frame).unwrap();
        Some(decode(&frame).unwrap())
    }

    fn ask(&mut self, request: &Request) -> Answer {
        self.say(request);
        self.heard().unwrap()
    }

    fn refused(&mut self, request: &Request) -> SignerError {
        match self.ask(request) {
            Answer::Refused(error) => error,
            answer => panic!("{answer:?}"),
        }
    }
}
