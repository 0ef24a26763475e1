//! Which commands need no question, and which never run.
//!
//! A rule is the beginning of a command, word for word: `git status` covers
//! `git status --short`, not `git stash`. A command line is read as the shell
//! would split it: at `;`, `&`, `|` and line breaks, quotes taken off,
//! assignments and wrappers such as `env` and `sudo` passed over.
//!
//! What this can and cannot do: a shell can hide any command from a reader
//! (`sh -c`, `eval`, a script, an alias, a variable). Therefore an *allow* rule
//! covers a line only when every part of it is plain words and covered; what
//! expands, redirects or groups is never covered. A *deny* rule stops the plain
//! spelling and nothing more: it is a guard rail against habit, and the sandbox
//! is the boundary.

/// Rules about commands.
#[derive(Debug, Clone, Default)]
pub(crate) struct Policy {
    allow: Vec<Vec<String>>,
    deny: Vec<Vec<String>>,
}

/// What the rules say of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Every part is covered by an allow rule.
    Allowed,
    /// A part is covered by this deny rule.
    Denied(String),
    /// No rule settles it.
    Open,
}

/// Programs and words of the shell that run the command after them.
const WRAPPERS: [&str; 17] = [
    "builtin", "command", "do", "doas", "elif", "else", "env", "exec", "if", "nice", "nohup",
    "setsid", "sudo", "then", "time", "until", "while",
];

impl Policy {
    /// From the beginnings of commands.
    pub(crate) fn new(allow: &[String], deny: &[String]) -> Self {
        let rules = |rules: &[String]| {
            let words = rules.iter().map(|rule| first_part(rule).words);
            words.filter(|words| !words.is_empty()).collect()
        };
        Self {
            allow: rules(allow),
            deny: rules(deny),
        }
    }

    /// What the rules say.
    pub(crate) fn verdict(&self, command: &str) -> Verdict {
        let parts = parts(command);
        let denied = parts.iter().find_map(|part| {
            let bare = part.unwrapped();
            self.deny.iter().find(|rule| begins(bare, rule))
        });
        if let Some(rule) = denied {
            return Verdict::Denied(rule.join(" "));
        }
        let covered =
            |part: &Part| part.plain && self.allow.iter().any(|rule| begins(&part.words, rule));
        if !parts.is_empty() && parts.iter().all(covered) {
            Verdict::Allowed
        } else {
            Verdict::Open
        }
    }

    /// From now on a command like this one is allowed; the rule that was made,
    /// or none where only its very repetition could be.
    pub(crate) fn allow_like(&mut self, command: &str) -> Option<String> {
        let rule = Self::rule_for(command)?;
        self.allow.push(rule.clone());
        Some(rule.join(" "))
    }

    /// The rule that covers commands like this: its program, with the word
    /// after it where that names what is done. None for more than one plain
    /// part, and for programs that run anything.
    pub(crate) fn rule_for(command: &str) -> Option<Vec<String>> {
        let parts = parts(command);
        let [part] = parts.as_slice() else {
            return None;
        };
        let program = part.words.first()?;
        let name = program.rsplit('/').next().unwrap_or(program);
        if !part.plain || RUNS_ANYTHING.contains(&name) || WRAPPERS.contains(&name) {
            return None;
        }
        let named = |word: &&String| {
            word.chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | ':'))
                && !word.starts_with('-')
        };
        let second = part.words.get(1).filter(named);
        Some([program].into_iter().chain(second).cloned().collect())
    }
}

/// Programs whose arguments are programs.
const RUNS_ANYTHING: [&str; 18] = [
    "bash", "dash", "eval", "find", "ksh", "node", "perl", "php", "python", "python3", "ruby",
    "sh", "source", "ssh", "su", "xargs", "zsh", ".",
];

fn begins(words: &[String], rule: &[String]) -> bool {
    words.len() >= rule.len() && words.iter().zip(rule).all(|(word, rule)| word == rule)
}

/// One command of a line.
#[derive(Debug, Default, PartialEq, Eq)]
struct Part {
    words: Vec<String>,
    /// Whether the words are all there is: nothing expands, redirects or
    /// groups.
    plain: bool,
}

impl Part {
    /// Without assignments, wrappers and their options, and the program's
    /// folder.
    fn unwrapped(&self) -> &[String] {
        let mut rest = self.words.as_slice();
        let mut wrapped = false;
        while let Some((first, others)) = rest.split_first() {
            let assignment = first.split_once('=').is_some_and(|(name, _)| {
                !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
            });
            let wrapper = WRAPPERS.contains(&first.as_str());
            if !(assignment || wrapper || wrapped && first.starts_with('-')) {
                break;
            }
            wrapped |= wrapper;
            rest = others;
        }
        rest
    }
}

fn first_part(rule: &str) -> Part {
    parts(rule).into_iter().next().unwrap_or_default()
}

/// The commands of a line.
fn parts(command: &str) -> Vec<Part> {
    let mut reader = Reader {
        parts: Vec::new(),
        part: Part {
            plain: true,
            ..Part::default()
        },
        word: None,
    };
    let mut characters = command.chars().peekable();
    while let Some(c) = characters.next() {
        match c {
            '\'' => {
                let word = reader.word.get_or_insert_default();
                let mut closed = false;
                for c in characters.by_ref() {
                    if c == '\'' {
                        closed = true;
                        break;
                    }
                    word.push(c);
                }
                reader.part.plain &= closed;
            }
            '"' => {
                let mut closed = false;
                while let Some(c) = characters.next() {
                    let word = reader.word.get_or_insert_default();
                    match c {
                        '"' => {
                            closed = true;
                            break;
                        }
                        '\\' => {
                            let next = characters.next();
                            if !matches!(next, Some('"' | '\\' | '$' | '`' | '\n')) {
                                word.push('\\');
                            }
                            word.extend(next.filter(|c| *c != '\n'));
                        }
                        '$' | '`' => {
                            reader.part.plain = false;
                            word.push(c);
                        }
                        c => word.push(c),
                    }
                }
                reader.word.get_or_insert_default();
                reader.part.plain &= closed;
            }
            '\\' => match characters.next() {
                Some('\n') => {}
                Some(c) => reader.word.get_or_insert_default().push(c),
                None => reader.part.plain = false,
            },
            ' ' | '\t' => reader.end_word(),
            ';' | '|' | '&' | '\n' => reader.end_part(),
            // A group or a substitution holds commands, too.
            '(' | ')' | '{' | '}' | '`' => {
                reader.part.plain = false;
                reader.end_part();
                reader.part.plain = false;
            }
            '#' if reader.word.is_none() => while characters.next_if(|c| *c != '\n').is_some() {},
            '$' | '<' | '>' | '*' | '?' | '[' | '~' | '!' => {
                reader.part.plain = false;
                reader.word.get_or_insert_default().push(c);
            }
            c => reader.word.get_or_insert_default().push(c),
        }
    }
    reader.end_part();
    reader.parts
}

struct Reader {
    parts: Vec<Part>,
    part: Part,
    word: Option<String>,
}

impl Reader {
    fn end_word(&mut self) {
        self.part.words.extend(self.word.take());
    }

    fn end_part(&mut self) {
        self.end_word();
        let next = Part {
            plain: true,
            ..Part::default()
        };
        let part = std::mem::replace(&mut self.part, next);
        if !part.words.is_empty() || !part.plain {
            self.parts.push(part);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy() -> Policy {
        let rules = |rules: &[&str]| {
            rules
                .iter()
                .map(|rule| (*rule).to_owned())
                .collect::<Vec<_>>()
        };
        Policy::new(
            &rules(&["git status", "cargo test", "ls", "echo 'a b'"]),
            &rules(&["git push", "rm -rf"]),
        )
    }

    #[test]
    fn allowed_is_only_what_is_plain_and_covered_in_every_part() {
        for command in [
            "git status",
            "  git   status --short",
            "git status && cargo test -p x | ls; ls",
            "\"git\" 'status'",
            "git stat\\us",
            "ls \"a b\" 'c;d'",
            "echo 'a b' c",
            "ls # and more",
        ] {
            assert_eq!(policy().verdict(command), Verdict::Allowed, "{command}");
        }
        for command in [
            "",
            "git",
            "git stash",
            "git statusx",
            "echo a b",
            "git status > /etc/passwd",
            "git status $(rm x)",
            "git status `x`",
            "ls \"$(x)\"",
            "(ls)",
            "{ ls; }",
            "ls && other",
            "ls\nother",
            "ls & other",
            "X=1 ls",
            "sudo ls",
            "ls *",
            "ls 'open",
            "ls ~",
            "ls \\",
        ] {
            assert_eq!(policy().verdict(command), Verdict::Open, "{command}");
        }
    }

    #[test]
    fn denied_is_the_plain_spelling_anywhere_in_the_line() {
        for command in [
            "git push",
            "git push origin main",
            "ls && git push",
            "ls; git push | ls",
            "GIT_X=1 git push",
            "sudo -n env A=b git push",
            "(git push)",
            "x=$(git push)",
            "if true\nthen\ngit push\nfi",
            "if git push; then ls; else exec git push; fi",
            "`git push`",
            "'git' \"push\"",
        ] {
            let expected = Verdict::Denied("git push".to_owned());
            assert_eq!(policy().verdict(command), expected, "{command}");
        }
        let denied = Verdict::Denied("rm -rf".to_owned());
        assert_eq!(policy().verdict("rm -rf /"), denied);
        // The limits, as they are: none of these is seen.
        for hidden in [
            "sh -c 'git push'",
            "git -c a=b push",
            "p=push; git $p",
            "rm -r -f /",
            "eval git push",
        ] {
            assert_eq!(policy().verdict(hidden), Verdict::Open, "{hidden}");
        }
    }

    #[test]
    fn a_rule_is_made_of_the_program_and_what_it_does() {
        let check = |command: &str, expected: Option<&str>| {
            let rule = Policy::rule_for(command).map(|rule| rule.join(" "));
            assert_eq!(rule.as_deref(), expected, "{command}");
        };
        check("cargo test -p x", Some("cargo test"));
        check("npm run:x", Some("npm run:x"));
        check("ls -la", Some("ls"));
        check("ls ./src", Some("ls"));
        check("make", Some("make"));
        check("python3 x.py", None);
        check("/bin/sh -c x", None);
        check("sudo make", None);
        check("a | b", None);
        check("a > b", None);
        check("", None);
        let mut policy = policy();
        assert_eq!(policy.verdict("cargo build"), Verdict::Open);
        assert_eq!(
            policy.allow_like("cargo build --release").as_deref(),
            Some("cargo build")
        );
        assert_eq!(policy.verdict("cargo build -p y"), Verdict::Allowed);
    }
}
