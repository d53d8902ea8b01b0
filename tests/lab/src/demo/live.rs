//! The line that lives while a scene is played: who has the VIP, who speaks with which priority, what the client gets.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::cast::Stage;
use crate::owners::Owners;
use crate::pair::{Client, Tally};
use crate::say;
use crate::sniff::Sniffer;
use crate::world::BALANCERS;

/// Time between two pictures.
const FRAME: Duration = Duration::from_millis(200);

/// A node that was heard in this time speaks; adverts come every second.
const RECENT: Duration = Duration::from_millis(1500);

/// Redraws the line until it is dropped; on anything but a terminal it says nothing.
pub(super) struct Live {
    ends: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Live {
    pub(super) fn start(stage: &Stage, client: &Client) -> Self {
        let ends = Arc::new(AtomicBool::new(false));
        let (owners, adverts) = (stage.world().owners.clone(), stage.world().adverts.clone());
        let (tally, theirs) = (client.tally(), Arc::clone(&ends));
        let thread =
            say::lively().then(|| std::thread::spawn(move || draw(&owners, &adverts, &tally, &theirs)));
        Self { ends, thread }
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // It only draws: when it failed there is nothing to mend.
            let _ = thread.join();
            say::part("\r\u{1b}[K");
        }
    }
}

fn draw(owners: &Owners, adverts: &Sniffer, tally: &Tally, ends: &AtomicBool) {
    let start = Instant::now();
    while !ends.load(Ordering::Relaxed) {
        let nodes = ["lb01", "lb02"]
            .into_iter()
            .zip(BALANCERS)
            .map(|(name, address)| {
                let mark = if owners.holds(name) {
                    say::paint("32", "VIP")
                } else {
                    "   ".to_owned()
                };
                let recent = adverts
                    .last_of(address)
                    .filter(|advert| advert.at.elapsed() < RECENT && advert.priority > 0);
                let voice = recent.map_or_else(
                    || "silent".to_owned(),
                    |advert| format!("adverts {:>3}", advert.priority),
                );
                format!("{name} {mark} {voice:<11}")
            });
        let nodes: Vec<String> = nodes.collect();
        let (icmp, http) = tally.missed();
        let seconds = start.elapsed().as_secs_f64();
        say::part(&format!(
            "\r\u{1b}[K  {seconds:5.1} s  {}  │ client missed: ICMP {icmp}, HTTP {http}",
            nodes.join(" │ ")
        ));
        std::thread::sleep(FRAME);
    }
}
