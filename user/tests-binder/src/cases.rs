// SPDX-License-Identifier: MIT OR Apache-2.0

//! The cases, by topic. Names are stable: harnesses and tables use them.

use crate::world::{Cx, Res};

mod bad;
mod bf;
mod cm;
mod cy;
mod dn;
mod dp;
mod fa;
mod fl;
mod found_places;
mod fs;
mod fz;
mod gp;
mod io;
mod mp;
mod ob;
mod ow;
mod po;
mod pr;
mod rc;
pub mod se;
mod sg;
mod sh;
mod sp;
mod st;
mod te;
mod th;
mod tn;
mod tx;
mod up;

/// One case.
pub struct Case {
    /// Stable name.
    pub name: &'static str,
    /// Number of the conformance case that it stands for; 0 for bad input.
    pub section: u8,
    /// The script.
    pub run: fn(&Cx) -> Res,
}

/// A case with its function's name.
macro_rules! case {
    ($section:literal $name:ident) => {
        $crate::cases::Case {
            name: stringify!($name),
            section: $section,
            run: $name,
        }
    };
}
pub(crate) use case;

/// The cases that need a security policy.
pub fn labelled() -> impl Iterator<Item = &'static Case> {
    se::CASES.iter()
}

/// All others in the order of their topics.
pub fn all() -> impl Iterator<Item = &'static Case> {
    [
        io::CASES,
        th::CASES,
        cm::CASES,
        tx::CASES,
        tn::CASES,
        te::CASES,
        ow::CASES,
        ob::CASES,
        sg::CASES,
        fa::CASES,
        rc::CASES,
        dn::CASES,
        fz::CASES,
        fl::CASES,
        up::CASES,
        sp::CASES,
        bf::CASES,
        found_places::CASES,
        mp::CASES,
        po::CASES,
        gp::CASES,
        pr::CASES,
        fs::CASES,
        bad::CASES,
        cy::CASES,
        dp::CASES,
        sh::CASES,
        st::CASES,
    ]
    .into_iter()
    .flatten()
}
