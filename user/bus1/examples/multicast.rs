// SPDX-License-Identifier: MIT OR Apache-2.0

//! Three senders publish at the same time to three receivers; all logs agree.

mod common;

use std::process::ExitCode;
use std::thread;

use bus1::{Handle, Peer};
use common::{finish, next_message, text, Outcome};

const SENDERS: usize = 3;
const RECEIVERS: usize = 3;
const ROUNDS: usize = 200;

/// Sends all messages of one sender, each to all receivers at once.
fn publish(name: usize, peer: &Peer, everybody: &[Handle<'_>]) -> Result<(), bus1::SendError> {
    for round in 0..ROUNDS {
        let news = format!("{name}.{round}");
        peer.send()
            .to_all(everybody)
            .payload(news.as_bytes())
            .commit()?;
    }
    Ok(())
}

/// Takes all messages off one queue.
fn log(peer: &Peer) -> Outcome<Vec<String>> {
    (0..SENDERS * ROUNDS)
        .map(|_| Ok(text(&next_message(peer, "a receiver")?)))
        .collect()
}

/// How often the sender changes from one message to the next.
fn changes(log: &[String]) -> usize {
    let sender = |entry: &String| entry.split('.').next().map(str::to_owned);
    log.windows(2)
        .filter(|pair| sender(&pair[0]) != sender(&pair[1]))
        .count()
}

fn run() -> Outcome {
    let open = |n| -> Outcome<Vec<Peer>> { (0..n).map(|_| Ok(Peer::open()?)).collect() };
    let senders = open(SENDERS)?;
    let receivers = open(RECEIVERS)?;
    let nodes: Vec<_> = receivers.iter().map(Peer::node).collect();
    println!("{SENDERS} senders and {RECEIVERS} receivers are open");

    thread::scope(|scope| -> Outcome {
        let mut work = Vec::new();
        for (name, sender) in senders.iter().enumerate() {
            let everybody = nodes
                .iter()
                .map(|node| node.transfer(sender))
                .collect::<Result<Vec<_>, _>>()?;
            work.push(scope.spawn(move || publish(name, sender, &everybody)));
        }
        for one in work {
            one.join().map_err(|_| "a sender has panicked")??;
        }
        Ok(())
    })?;
    println!("each sender published {ROUNDS} messages, each in one call to all receivers");

    let logs = receivers.iter().map(log).collect::<Outcome<Vec<_>>>()?;
    println!(
        "each receiver logged {} messages; the sender changes {} times in a log",
        logs[0].len(),
        changes(&logs[0])
    );
    if logs.iter().any(|log| *log != logs[0]) {
        return Err("the logs differ".into());
    }
    println!("all {RECEIVERS} logs are the same, entry for entry");
    Ok(())
}

fn main() -> ExitCode {
    finish(run())
}
