// SPDX-License-Identifier: GPL-2.0

//! A run: all peers play their programs at the same time, then the bus comes to rest.

use super::{
    actor::Actor,
    program::Program,
    record::History,
    world::{
        alive,
        World, //
    }, //
};
use crate::{
    core::{
        sync::Clock, //
    },
    host::{
        clock,
        thread, //
    },
};

/// Plays `program`, each peer on a thread of its own, and says what happened.
pub(super) fn play<C: Clock>(program: &Program) -> Result<History, String> {
    clock::restart();
    let before = alive();
    let (world, owned) = World::<C>::new(program.len());
    let world = std::sync::Arc::new(world);
    let mut threads = Vec::new();
    for (number, (steps, owned)) in program.iter().zip(owned).enumerate() {
        let mut actor = Actor::new(&world, number, owned);
        let steps = steps.clone();
        threads.push(thread::spawn(move || {
            actor.play(steps);
            actor
        }));
    }
    let actors = threads.into_iter().map(|thread| thread.join().unwrap());
    rest(&world, actors.collect());
    let world = std::sync::Arc::into_inner(world).expect("all actors are gone");
    let history = world.finish()?;
    match alive() - before {
        0 => Ok(history),
        left => Err(format!("{left} objects are left")),
    }
}

/// Everybody reads and frees what there is, lets go what he holds, reads what comes of that, dies.
fn rest<C: Clock>(world: &World<C>, mut actors: Vec<Actor<C>>) {
    let overslept = actors.iter().filter(|actor| actor.oversleeps()).count();
    world.recorder.history().overslept = overslept;
    settle(world, &mut actors);
    actors.iter_mut().for_each(Actor::let_go);
    settle(world, &mut actors);
    actors.iter_mut().for_each(Actor::die);
}

fn settle<C: Clock>(world: &World<C>, actors: &mut [Actor<C>]) {
    // All must have their turn, so that this is no `any`.
    while actors
        .iter_mut()
        .filter_map(|a| a.settle().then_some(()))
        .count()
        > 0
    {}
    world.quiet();
}
