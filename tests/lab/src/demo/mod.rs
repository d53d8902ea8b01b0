//! `lab demo`: every fault of the story with the real programs, and what each costs a client.

mod cast;
mod live;
mod scenes;
mod story;

use std::time::Instant;

use crate::bench::table;
use crate::error::Result;
use crate::{logs, place, say};
use story::{Scene, Verdict};

/// Plays the story. `auto`: without stops. Returns the exit code.
pub fn run(auto: bool) -> Result<u8> {
    let start = Instant::now();
    say::line("\nTwo nodes, lb01 and lb02, each with standfast and nginx; behind them two web servers;");
    say::line("a client asks the virtual address 192.168.31.5 every millisecond, by ICMP echo and by HTTP.");
    let mut rows = vec![
        ["", "fault", "VIP", "ICMP missed", "HTTP failed"]
            .map(str::to_owned)
            .to_vec(),
    ];
    let mut failed = 0;
    let scenes = scenes::all();
    let count = scenes.len();
    for (number, scene) in scenes.into_iter().enumerate() {
        say::heading(&format!("{} of {count}: {}", number + 1, scene.title));
        if !auto && !wait_for_enter() {
            break;
        }
        let verdict = scene.play();
        failed += usize::from(!verdict.good);
        say_verdict(&scene, &verdict);
        rows.push(row(&scene, &verdict));
    }
    say::heading("summary");
    table::print(&rows);
    let seconds = start.elapsed().as_secs();
    let held = rows.len() - 1 - failed;
    say::line(&format!("\n{held} of {} held, in {seconds} s", rows.len() - 1));
    if failed > 0 {
        let kept = place::programs()?.join("lab-logs").join("demo");
        logs::save(&kept)?;
        say::line(&format!("all logs and configurations: {}", kept.display()));
    }
    Ok(u8::from(failed > 0))
}

/// `false` at the end of the input.
fn wait_for_enter() -> bool {
    say::part(&say::paint("2", "Enter to go on "));
    let mut line = String::new();
    std::io::stdin()
        .read_line(&mut line)
        .is_ok_and(|length| length > 0)
}

fn say_verdict(scene: &Scene, verdict: &Verdict) {
    say::line(&format!("  expected: {}", scene.expected));
    say::line(&format!(
        "  seen:     VIP at {}; client missed {}",
        verdict.path,
        verdict.missed()
    ));
    for note in &verdict.notes {
        say::line(&format!("            {note}"));
    }
    match &verdict.fault {
        None => say::line(&format!("  {}", say::verdict(true, "✓ holds"))),
        Some(fault) => say::line(&format!("  {} {fault}", say::verdict(false, "✗"))),
    }
}

fn row(scene: &Scene, verdict: &Verdict) -> Vec<String> {
    let mark = if verdict.good { "✓" } else { "✗" };
    vec![
        mark.to_owned(),
        scene.title.to_owned(),
        verdict.path.clone(),
        story::cost(&verdict.seen.icmp),
        story::cost(&verdict.seen.http),
    ]
}
