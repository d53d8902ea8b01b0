//! Reads one KDL node: what it needs, what it may have, and a fault for everything else.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use kdl::{KdlEntry, KdlNode, KdlValue};
use miette::SourceSpan;

use crate::config::error::Faults;
use crate::config::value::Wrong;
use crate::config::words::{short, suggest};

/// A node, its place in the text, and where its faults go.
#[derive(Clone, Copy)]
pub(crate) struct Node<'a> {
    pub(crate) kdl: &'a KdlNode,
    pub(crate) base: usize,
    pub(crate) faults: &'a Faults,
}

impl<'a> Node<'a> {
    /// Its first word: `interval` of `interval "2s"`.
    pub(crate) fn word(&self) -> &'a str {
        self.kdl.name().value()
    }

    /// Where its first word stands.
    pub(crate) fn span(&self) -> SourceSpan {
        shift(self.kdl.name().span(), self.base)
    }

    /// A fault at its first word.
    pub(crate) fn fault(&self, message: impl Into<String>, help: impl Into<String>) {
        self.faults.add(self.span(), message, help);
    }

    /// Faults for all that a node of one line may not have.
    pub(crate) fn leaf(&self, args: RangeInclusive<usize>, props: &[&str]) {
        self.line(args, props);
        if self.kdl.children().is_some() {
            self.fault(
                format!("`{}` has no block", self.word()),
                "take out the `{ }` behind it",
            );
        }
    }

    /// Faults for all that a block may not have: its line, words it does not know, words of `once` that come twice.
    pub(crate) fn block(&self, args: RangeInclusive<usize>, once: &[&str], many: &[&str]) {
        self.block_with(args, &[], once, many);
    }

    /// As `block`, with properties on its line.
    pub(crate) fn block_with(
        &self,
        args: RangeInclusive<usize>,
        props: &[&str],
        once: &[&str],
        many: &[&str],
    ) {
        self.line(args, props);
        if self.kdl.children().is_none() {
            self.fault(format!("`{}` has no block", self.word()), "add `{ … }` behind it");
        }
        let children: Vec<_> = self.all().collect();
        words(&children, once, many);
    }

    /// Faults for its arguments, properties and type notes.
    pub(crate) fn line(&self, args: RangeInclusive<usize>, props: &[&str]) {
        let word = self.word();
        if self.kdl.ty().is_some() || self.kdl.entries().iter().any(|entry| entry.ty().is_some()) {
            self.fault(
                format!("`{word}` has a type note"),
                "take out the `(…)`: types are known here",
            );
        }
        let given: Vec<_> = self.args().collect();
        if given.len() < *args.start() {
            self.fault(
                format!("`{word}` has no value"),
                format!("write it behind the word: `{word} …`"),
            );
        }
        for extra in given.iter().skip(*args.end()) {
            let help = match *args.end() {
                0 => format!("`{word}` takes no value: take it out"),
                1 => format!("`{word}` takes one value: take this one out"),
                most => format!("`{word}` takes at most {most} values"),
            };
            self.faults
                .add(extra.span, format!("one value too many for `{word}`"), help);
        }
        let mut seen = Claims::default();
        for (name, entry) in self
            .kdl
            .entries()
            .iter()
            .filter_map(|entry| Some((entry.name()?, entry)))
        {
            let (name, span) = (name.value(), shift(name.span(), self.base));
            if !props.contains(&name) {
                let what = format!("`{word}` knows no `{name}=`");
                self.faults.add(span, what, suggest(name, props));
            } else if !REPEATED.contains(&name) {
                let what = || format!("`{name}=` is written twice");
                seen.claim(
                    self.faults,
                    name.to_owned(),
                    self.at(entry),
                    what,
                    "keep one of them",
                );
            }
        }
    }

    /// The children.
    pub(crate) fn all(&self) -> impl Iterator<Item = Self> + use<'a> {
        let Self { base, faults, .. } = *self;
        let nodes = self.kdl.children().map_or(&[][..], |children| children.nodes());
        nodes.iter().map(move |kdl| Self { kdl, base, faults })
    }

    /// The children with this word.
    pub(crate) fn children(&self, word: &'static str) -> impl Iterator<Item = Self> + use<'a> {
        self.all().filter(move |child| child.word() == word)
    }

    /// The first child with this word.
    pub(crate) fn child(&self, word: &'static str) -> Option<Self> {
        self.children(word).next()
    }

    /// The child that must be there; `mend` is a line that would do.
    pub(crate) fn need(&self, word: &'static str, mend: &str) -> Option<Self> {
        let child = self.child(word);
        if child.is_none() {
            self.fault(
                format!("this `{}` has no `{word}`", self.word()),
                format!("add `{mend}` to its block"),
            );
        }
        child
    }

    /// The one value of a child that must be there.
    pub(crate) fn must<T>(
        &self,
        word: &'static str,
        mend: &str,
        read: impl Fn(&KdlValue) -> Result<T, Wrong>,
    ) -> Option<T> {
        self.need(word, mend)?.only(read)
    }

    /// The one value of a child that may be there; `None` only after a fault (or for a default that is `None`).
    pub(crate) fn or<T>(
        &self,
        word: &'static str,
        default: impl Into<Option<T>>,
        read: impl Fn(&KdlValue) -> Result<T, Wrong>,
    ) -> Option<T> {
        match self.child(word) {
            Some(child) => child.only(read),
            None => default.into(),
        }
    }

    /// The value of a node that has nothing else.
    pub(crate) fn only<T>(&self, read: impl Fn(&KdlValue) -> Result<T, Wrong>) -> Option<T> {
        self.leaf(1..=1, &[]);
        self.first(read)
    }

    /// The first argument, if there is one (else `line` has said so).
    pub(crate) fn first<T>(&self, read: impl Fn(&KdlValue) -> Result<T, Wrong>) -> Option<T> {
        self.args().next()?.read(read)
    }

    /// All arguments, `None` if one is at fault.
    pub(crate) fn each<T>(&self, read: impl Fn(&KdlValue) -> Result<T, Wrong>) -> Option<Vec<T>> {
        let values: Vec<_> = self.args().map(|value| value.read(&read)).collect();
        values.into_iter().collect()
    }

    /// The arguments.
    pub(crate) fn args(&self) -> impl Iterator<Item = Value<'a>> + use<'a> {
        let node = *self;
        self.kdl
            .entries()
            .iter()
            .filter(|entry| entry.name().is_none())
            .map(move |entry| node.value(entry, node.word()))
    }

    /// Whether a property is written.
    pub(crate) fn has(&self, name: &'static str) -> bool {
        self.props(name).next().is_some()
    }

    /// The values of a property; more than one only where it may be repeated.
    pub(crate) fn props(&self, name: &'static str) -> impl Iterator<Item = Value<'a>> + use<'a> {
        let node = *self;
        let named = move |entry: &&KdlEntry| entry.name().is_some_and(|found| found.value() == name);
        self.kdl
            .entries()
            .iter()
            .filter(named)
            .map(move |entry| node.value(entry, name))
    }

    /// A property that may be there; `None` only after a fault (or for a default that is `None`).
    pub(crate) fn prop<T>(
        &self,
        name: &'static str,
        default: impl Into<Option<T>>,
        read: impl Fn(&KdlValue) -> Result<T, Wrong>,
    ) -> Option<T> {
        match self.props(name).next() {
            Some(value) => value.read(read),
            None => default.into(),
        }
    }

    fn value(&self, entry: &'a KdlEntry, word: &'a str) -> Value<'a> {
        Value {
            kdl: entry.value(),
            span: self.at(entry),
            word,
            faults: self.faults,
        }
    }

    fn at(&self, entry: &KdlEntry) -> SourceSpan {
        shift(entry.span(), self.base)
    }
}

/// One argument or property.
#[derive(Clone, Copy)]
pub(crate) struct Value<'a> {
    pub(crate) kdl: &'a KdlValue,
    pub(crate) span: SourceSpan,
    pub(crate) word: &'a str,
    pub(crate) faults: &'a Faults,
}

impl Value<'_> {
    /// What it means, or a fault at its place.
    pub(crate) fn read<T>(&self, read: impl Fn(&KdlValue) -> Result<T, Wrong>) -> Option<T> {
        match read(self.kdl) {
            Ok(value) => Some(value),
            Err(Wrong { what, help }) => {
                self.fault(format!("`{}`: {what}", self.word), help);
                None
            }
        }
    }

    /// A fault at its place.
    pub(crate) fn fault(&self, message: impl Into<String>, help: impl Into<String>) {
        self.faults.add(self.span, message, help);
    }
}

/// Faults for words that are not known here, and for those that come twice though they may not.
pub(crate) fn words(nodes: &[Node<'_>], once: &[&str], many: &[&str]) {
    let known: Vec<&str> = once.iter().chain(many).copied().collect();
    let mut seen = Claims::default();
    for node in nodes {
        let word = node.word();
        if once.contains(&word) {
            let what = || format!("`{word}` is written twice");
            seen.claim(
                node.faults,
                word.to_owned(),
                node.span(),
                what,
                "keep one of them",
            );
        } else if !many.contains(&word) {
            node.fault(format!("unknown word `{}`", short(word)), suggest(word, &known));
        }
    }
}

/// Who has what, where only one may have it.
pub(crate) struct Claims<K>(BTreeMap<K, SourceSpan>);

impl<K> Default for Claims<K> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<K: Ord> Claims<K> {
    /// Takes `key`, or says at `span` that it is taken, and shows where.
    pub(crate) fn claim(
        &mut self,
        faults: &Faults,
        key: K,
        span: SourceSpan,
        message: impl Fn() -> String,
        help: &str,
    ) -> bool {
        match self.0.get(&key) {
            Some(first) => {
                faults.add_second(span, *first, message(), help);
                false
            }
            None => {
                self.0.insert(key, span);
                true
            }
        }
    }
}

fn shift(span: SourceSpan, base: usize) -> SourceSpan {
    (span.offset() + base, span.len()).into()
}

/// The properties that list: `processes comm="nginx" comm="php-fpm"`.
const REPEATED: &[&str] = &["comm", "exe", "pidfile", "cgroup"];
