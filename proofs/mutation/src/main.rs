// SPDX-License-Identifier: GPL-2.0

//! Puts mutants into source files, each behind a switch.
//!
//! `bus1-mutation ROOT LIST [LEFT_OUT]`: `LIST` is what `cargo mutants --list --json` prints in
//! `ROOT`, and a mutant's number is its place in it. The files are rewritten so that
//! `crate::mutant(number)` chooses at run time, and the numbers that were put in are printed. What
//! can't be behind a switch (in constants, say) is left out, as are the numbers in `LEFT_OUT`.
//!
//! One build for all of them is what makes it possible to run each under the model checkers, too.

use proc_macro2::{
    LineColumn,
    Span, //
};
use std::{
    collections::{
        BTreeMap,
        BTreeSet, //
    },
    error::Error,
    fs,
    path::Path, //
};
use syn::{
    parse_quote,
    spanned::Spanned,
    visit_mut::{
        self,
        VisitMut, //
    },
    Block,
    Expr,
    Signature, //
};

/// Where a mutant begins and ends: lines from one, columns from zero.
type Place = ((usize, usize), (usize, usize));

/// A change of one place.
struct Mutant {
    number: usize,
    genre: String,
    replacement: String,
}

/// The mutants of one file.
struct Switches {
    left: BTreeMap<Place, Vec<Mutant>>,
    done: BTreeSet<usize>,
}

fn place(start: Span, end: Span) -> Place {
    let at = |at: LineColumn| (at.line, at.column);
    (at(start.start()), at(end.end()))
}

impl Switches {
    /// Takes the mutants of a place that are of `genre`.
    fn take(&mut self, place: Place, genre: &str) -> Vec<Mutant> {
        let all = self.left.remove(&place).unwrap_or_default();
        let (wanted, rest): (Vec<_>, Vec<_>) =
            all.into_iter().partition(|mutant| mutant.genre == genre);
        if !rest.is_empty() {
            self.left.insert(place, rest);
        }
        self.done.extend(wanted.iter().map(|mutant| mutant.number));
        wanted
    }

    /// Lets a function return something else at once.
    fn function(&mut self, signature: &Signature, block: &mut Block) {
        if signature.constness.is_some() {
            return;
        }
        let body = match (block.stmts.first(), block.stmts.last()) {
            (Some(first), Some(last)) => Some(place(first.span(), last.span())),
            _ => None,
        };
        visit_mut::visit_block_mut(self, block);
        let Some(body) = body else { return };
        for mutant in self.take(body, "FnValue").into_iter().rev() {
            let number = mutant.number;
            let Ok(value) = syn::parse_str::<Expr>(&mutant.replacement) else {
                self.done.remove(&number);
                continue;
            };
            let early = parse_quote! { if crate::mutant(#number) { return #value; } };
            block.stmts.insert(0, early);
        }
    }

    /// Leaves out fields of a value that has all fields.
    fn fields(&mut self, expr: &mut Expr) {
        let Expr::Struct(old) = expr.clone() else {
            return;
        };
        for (n, field) in old.fields.pairs().enumerate() {
            // With its comma, if it has one.
            let end = field
                .punct()
                .map_or(field.value().span(), |comma| comma.span());
            let mut shorter = old.clone();
            let others = old.fields.iter().enumerate().filter(|other| other.0 != n);
            shorter.fields = others.map(|other| other.1.clone()).collect();
            for mutant in self.take(place(field.value().span(), end), "StructField") {
                let (number, rest) = (mutant.number, expr.clone());
                *expr = parse_quote! { (if crate::mutant(#number) { #shorter } else { #rest }) };
            }
        }
    }

    /// Changes or leaves out the operator at `at`.
    fn operators(&mut self, expr: &mut Expr, at: Place) {
        let old = expr.clone();
        if let Expr::Binary(binary) = &old {
            for mutant in self.take(at, "BinaryOperator") {
                let (number, rest) = (mutant.number, expr.clone());
                let mut other = binary.clone();
                let Ok(op) = syn::parse_str::<syn::BinOp>(&mutant.replacement) else {
                    self.done.remove(&number);
                    continue;
                };
                other.op = op;
                *expr = parse_quote! { (if crate::mutant(#number) { #other } else { #rest }) };
            }
        }
        if let Expr::Unary(unary) = &old {
            for mutant in self.take(at, "UnaryOperator") {
                let (number, inner, rest) = (mutant.number, &unary.expr, expr.clone());
                *expr = parse_quote! { (if crate::mutant(#number) { #inner } else { #rest }) };
            }
        }
    }
}

impl VisitMut for Switches {
    // What is computed when it is compiled has no switches.
    fn visit_item_const_mut(&mut self, _: &mut syn::ItemConst) {}
    fn visit_item_static_mut(&mut self, _: &mut syn::ItemStatic) {}
    fn visit_impl_item_const_mut(&mut self, _: &mut syn::ImplItemConst) {}
    fn visit_trait_item_const_mut(&mut self, _: &mut syn::TraitItemConst) {}
    fn visit_expr_const_mut(&mut self, _: &mut syn::ExprConst) {}
    fn visit_expr_repeat_mut(&mut self, _: &mut syn::ExprRepeat) {}
    fn visit_type_mut(&mut self, _: &mut syn::Type) {}

    fn visit_item_fn_mut(&mut self, item: &mut syn::ItemFn) {
        self.function(&item.sig, &mut item.block);
    }

    fn visit_impl_item_fn_mut(&mut self, item: &mut syn::ImplItemFn) {
        self.function(&item.sig, &mut item.block);
    }

    fn visit_arm_mut(&mut self, arm: &mut syn::Arm) {
        let whole = place(arm.span(), arm.span());
        let guard = arm
            .guard
            .as_ref()
            .map(|guard| place(guard.1.span(), guard.1.span()));
        visit_mut::visit_arm_mut(self, arm);
        if let (Some(at), Some((_, guard))) = (guard, arm.guard.as_mut()) {
            for mutant in self.take(at, "MatchArmGuard") {
                let number = mutant.number;
                let old = guard.clone();
                *guard = match mutant.replacement.as_str() {
                    "true" => parse_quote! { (crate::mutant(#number) || (#old)) },
                    _ => parse_quote! { (!crate::mutant(#number) && (#old)) },
                };
            }
        }
        for mutant in self.take(whole, "MatchArm") {
            let number = mutant.number;
            let guard: Expr = match arm.guard.take() {
                Some((_, old)) => parse_quote! { (!crate::mutant(#number) && (#old)) },
                None => parse_quote! { !crate::mutant(#number) },
            };
            arm.guard = Some((Default::default(), Box::new(guard)));
        }
    }

    fn visit_expr_mut(&mut self, expr: &mut Expr) {
        self.fields(expr);
        let at = match expr {
            Expr::Binary(binary) => Some(place(binary.op.span(), binary.op.span())),
            Expr::Unary(unary) => Some(place(unary.op.span(), unary.op.span())),
            _ => None,
        };
        visit_mut::visit_expr_mut(self, expr);
        if let Some(at) = at {
            self.operators(expr, at);
        }
    }
}

/// The mutants in `LIST`, by file and place.
fn read(list: &str, left_out: &BTreeSet<usize>) -> Option<BTreeMap<String, Switches>> {
    let all: serde_json::Value = serde_json::from_str(list).ok()?;
    let mut files: BTreeMap<String, Switches> = BTreeMap::new();
    for (number, mutant) in all.as_array()?.iter().enumerate() {
        if left_out.contains(&number) {
            continue;
        }
        let edge = |which: &str| {
            let edge = &mutant["span"][which];
            let at = |what: &str| edge[what].as_u64().and_then(|at| usize::try_from(at).ok());
            Some((at("line")?, at("column")?.checked_sub(1)?))
        };
        let place = (edge("start")?, edge("end")?);
        let switches = files
            .entry(mutant["file"].as_str()?.to_owned())
            .or_insert_with(|| Switches {
                left: BTreeMap::new(),
                done: BTreeSet::new(),
            });
        switches.left.entry(place).or_default().push(Mutant {
            number,
            genre: mutant["genre"].as_str()?.to_owned(),
            replacement: mutant["replacement"].as_str()?.to_owned(),
        });
    }
    Some(files)
}

fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let (Some(root), Some(list)) = (words.first(), words.get(1)) else {
        return Err("usage: bus1-mutation ROOT LIST [LEFT_OUT]".into());
    };
    let left_out = match words.get(2) {
        Some(file) => fs::read_to_string(file)?,
        None => String::new(),
    };
    let left_out = left_out
        .split_whitespace()
        .map(str::parse)
        .collect::<Result<_, _>>()?;
    let files = read(&fs::read_to_string(list)?, &left_out).ok_or("not a list of mutants")?;
    for (name, mut switches) in files {
        let path = Path::new(root).join(&name);
        let mut file = syn::parse_file(&fs::read_to_string(&path)?)?;
        switches.visit_file_mut(&mut file);
        fs::write(&path, prettyplease::unparse(&file))?;
        for number in switches.done {
            println!("{number}");
        }
    }
    Ok(())
}
