//! Many doors on their lines: what they take of the portal's memory, and what a withdrawal takes to reach them all.

pub(crate) mod bare;
mod lines;

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use futures_util::future::join_all;
use futures_util::{StreamExt as _, stream};
use latchkey_core::phone::Phone;
use latchkey_core::staff::StaffDesk;
use latchkey_env::SystemClock;
use latchkey_protocol::api::keys::{KeyDoors, KeyDraft, KeyKind};
use latchkey_protocol::ids::{DoorId, KeyId, PersonId};
use latchkey_protocol::rules::AccessRules;
use tokio::runtime::Runtime;

use self::lines::{Arrivals, Lines};
use crate::doors::{Controller, Line};
use crate::measure::{Timed, elapsed};
use crate::process::Process;
use crate::scene::{Apart, HEAD, OWNER, RESIDENT, RITA, Scene, done, doors};
use crate::table::{Bench, Limit};

/// Lines of a server that is weighed, and as many of them as hear of a withdrawal.
const WEIGHED: u64 = 10_000;
const TOLD: usize = 5_000;
/// People who put controllers to the doors.
const INSTALLERS: usize = 8;
/// At once, while they connect.
const CONNECTING: usize = 64;
/// Open files beside those of the lines.
const FILES: u64 = 200;

/// How many times as long as a bare broadcast.
const LIMIT: f64 = 1.5;
/// A round takes some tenths of a second.
const ROUNDS: usize = 30;

/// The door of the keys that are withdrawn; it has no controller.
const CELLAR: &str = "Cellar";

pub(crate) fn bench() -> Bench {
    let mut bench = Bench::new("crowd");
    // The portal's lines that stay, and all of the bare server's.
    if let Err(why) = lines::may_open(TOLD as u64 + WEIGHED + FILES) {
        bench.not_run(why);
        return bench;
    }
    let (portal, controllers) = Portal::with_doors();
    let runtime = &portal.apart.runtime;
    let told = Arrivals::default();
    let addr = portal.apart.portal.addr();
    let connecting = || runtime.block_on(connect(addr, &controllers, &told));
    let (mut lines, ours) = Weighed::around(&portal.apart.portal, connecting);
    runtime.block_on(lines.keep(TOLD));
    let (bare, theirs) = Bare::connect(runtime);
    weigh(&mut bench, ours.zip(theirs));

    let portal = Rc::new(portal);
    let broadcast = broadcast(Rc::clone(&portal), bare, told.clone());
    let broadcast = bench.operation("a bare broadcast to 5,000 WebSockets", broadcast);
    let withdrawal = withdrawal(portal, lines, told);
    let withdrawal = bench.operation("a withdrawal to 5,000 doors", withdrawal);
    bench
        .subject(withdrawal)
        .peer(broadcast, Limit::AtMost(LIMIT));
    bench.rounds(ROUNDS);
    bench
}

/// Bytes of a server's memory.
struct Weighed {
    in_all: u64,
    /// What it grew by, a line.
    a_line: u64,
}

impl Weighed {
    /// None where nobody can be asked.
    fn around<T>(server: &Process, connecting: impl FnOnce() -> T) -> (T, Option<Self>) {
        let before = server.memory();
        let connected = connecting();
        let weighed = before.zip(server.memory()).map(|(before, after)| Self {
            in_all: after,
            a_line: after.saturating_sub(before) / WEIGHED,
        });
        (connected, weighed)
    }
}

fn weigh(bench: &mut Bench, weighed: Option<(Weighed, Weighed)>) {
    let Some((ours, theirs)) = weighed else {
        bench.not_run("the memory: only Linux is asked for it");
        return;
    };
    let in_all = bench.bytes("memory of a portal with 10,000 doors", ours.in_all);
    let bare = bench.bytes("a bare server with 10,000 WebSockets", theirs.in_all);
    bench.subject(in_all).peer(bare, Limit::Shown);
    let a_door = bench.bytes("a door's part of it", ours.a_line);
    let a_socket = bench.bytes("a WebSocket's part", theirs.a_line);
    bench.subject(a_door).peer(a_socket, Limit::Shown);
}

/// The portal, a process of its own, and whoever withdraws.
struct Portal {
    apart: Apart,
    desk: StaffDesk,
    resident: PersonId,
    cellar: DoorId,
    // The phone whose grants are withdrawn.
    _rita: Arc<Phone>,
}

impl Portal {
    /// With controllers that it has put into service in a process before: what that left in memory does not count.
    fn with_doors() -> (Self, Vec<Controller>) {
        let scene = Scene::set(&property(), Arc::new(SystemClock));
        let rita = scene.phone(RESIDENT);
        let owner = scene.phone(OWNER);
        let desk = scene.desk(&owner);
        let (doors, people) = (desk.doors().expect("doors"), desk.people().expect("people"));
        let resident = people.iter().find(|person| person.name.starts_with("Rita"));
        let (cellar, gates): (Vec<_>, Vec<_>) =
            doors.into_iter().partition(|door| door.name == CELLAR);
        let gates: Vec<DoorId> = gates.into_iter().map(|door| door.id).collect();
        let controllers = install(&scene, &gates);
        let portal = Self {
            desk,
            resident: resident.expect("she is known").id,
            cellar: cellar.first().expect("it is there").id,
            apart: scene.apart(),
            _rita: rita,
        };
        (portal, controllers)
    }

    async fn issue(&self) -> KeyId {
        let draft = KeyDraft {
            name: "Bicycles".to_owned(),
            kind: KeyKind::Mobile,
            persons: vec![self.resident],
            doors: KeyDoors::Some(vec![self.cellar]),
            rules: AccessRules::default(),
        };
        done(self.desk.issue_key(&draft).await.expect("issued")).id
    }
}

/// Puts a controller to each, by several installers at once: each phone's writes go out one after the other.
fn install(scene: &Scene, doors: &[DoorId]) -> Vec<Controller> {
    let phones = (0..INSTALLERS).map(|installer| scene.phone(&address_of(installer)));
    let phones: Vec<_> = phones.collect();
    let shares = doors.chunks(doors.len().div_ceil(INSTALLERS));
    let installing = phones.iter().zip(shares).map(|(phone, share)| async move {
        let desk = scene.desk(phone);
        let mut controllers = Vec::new();
        for door in share {
            controllers.push(Controller::install(&desk, *door).await);
        }
        controllers
    });
    let installed = scene.runtime.block_on(join_all(installing));
    installed.into_iter().flatten().collect()
}

fn address_of(installer: usize) -> String {
    format!("installer{installer}@example.com")
}

fn property() -> String {
    let mut file = format!(
        "{HEAD}{RITA}
         [[doors]]
         name = \"{CELLAR}\"
         kind = \"common_area\"
         reach = \"online\"\n"
    );
    for installer in 0..INSTALLERS {
        let email = address_of(installer);
        file += &format!(
            "[[people]]\nname = \"Installer {installer}\"\nrole = \"installer\"\nemail = \"{email}\"\n"
        );
    }
    file + &doors(WEIGHED as usize, "unit")
}

/// All doors, signed in, their states shown and kept.
async fn connect(portal: SocketAddr, controllers: &[Controller], told: &Arrivals) -> Lines {
    let connecting = controllers.iter().map(|controller| async move {
        let mut line = controller.connect(portal).await;
        line.taken().await;
        line
    });
    let connecting = stream::iter(connecting).buffer_unordered(CONNECTING);
    Lines::read(connecting, "\"type\":\"revocation\"", told).await
}

/// Until the last door has the list, from the moment at which staff ask.
fn withdrawal(portal: Rc<Portal>, lines: Lines, told: Arrivals) -> Timed {
    // The lines end before their portal does.
    let both = (lines, portal);
    Timed::told(move || {
        let (lines, portal) = &both;
        let runtime = &portal.apart.runtime;
        let key = runtime.block_on(portal.issue());
        told.expect(lines.len());
        let withdrawing = async {
            let withdrawing = portal.desk.withdraw_key(key);
            let (withdrawn, ()) = tokio::join!(withdrawing, told.all());
            done(withdrawn.expect("withdrawn"))
        };
        elapsed(|| runtime.block_on(withdrawing))
    })
}

/// The server that only sends on, and its WebSockets, which end before it does.
struct Bare {
    lines: Lines,
    told: Arrivals,
    server: Process,
}

impl Bare {
    fn connect(runtime: &Runtime) -> (Self, Option<Weighed>) {
        let (server, told) = (Process::broadcast(), Arrivals::default());
        let addr = server.addr();
        let connecting = (0..WEIGHED).map(|_| async move {
            let mut line = Line::open(addr, bare::PATH).await;
            line.taken().await;
            line
        });
        let connecting = stream::iter(connecting).buffer_unordered(CONNECTING);
        let connecting = || runtime.block_on(Lines::read(connecting, "", &told));
        let (mut lines, weighed) = Weighed::around(&server, connecting);
        runtime.block_on(lines.keep(TOLD));
        let bare = Self {
            lines,
            told,
            server,
        };
        (bare, weighed)
    }
}

/// Until the last one has a message of the same length, from the moment at which one of them says it.
fn broadcast(portal: Rc<Portal>, bare: Bare, of_portal: Arrivals) -> Timed {
    let opening = Line::open(bare.server.addr(), bare::PATH);
    let mut one = portal.apart.runtime.block_on(opening);
    Timed::told(move || {
        // All of it, so that the server lives as long as this.
        let bare = &bare;
        let text = "7".repeat(of_portal.length());
        bare.told.expect(bare.lines.len());
        let telling = async {
            one.say_text(text).await;
            bare.told.all().await;
            // It hears itself.
            one.text().await
        };
        elapsed(|| portal.apart.runtime.block_on(telling))
    })
}
