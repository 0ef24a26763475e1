//! `sam runner install`: the vm-agent as a service of systemd's.
//!
//! The unit holds no secret: the machine's identity is in its state directory,
//! from which the vm-agent reads it. It is not started before the machine has
//! joined, and not again once the server has turned it away.

use super::place::{Here, Scope};
use super::{programs, systemd};
use crate::args::runner::{Programs, Work};
use crate::context::Context;
use crate::error::{Exit, Failure};
use std::fmt::Write as _;
use std::path::Path;

/// What was asked for.
#[derive(Debug)]
pub(super) struct Asked<'a> {
    /// Where programs are.
    pub(super) programs: &'a Programs,
    /// What work it takes.
    pub(super) work: &'a Work,
    /// With whose rights the machine's service runs.
    pub(super) run_as: Option<String>,
    /// Only to show the unit.
    pub(super) print: bool,
}

pub(super) async fn install(
    context: &Context,
    here: &Here,
    asked: Asked<'_>,
) -> Result<Exit, Failure> {
    let vm_agent = programs::vm_agent(asked.programs)?;
    let url = context.settings.url(None)?;
    let path = std::env::var("PATH").unwrap_or_default();
    let run_as = match here.scope {
        Scope::User => None,
        Scope::System => asked.run_as.or_else(|| {
            let caller = std::env::var("SUDO_USER").ok();
            caller.filter(|name| !name.is_empty())
        }),
    };
    let text = text(&Unit {
        here,
        vm_agent: &vm_agent,
        url: url.as_str(),
        path: &path,
        run_as: run_as.as_deref(),
        work: asked.work,
    })?;
    let out = &context.out;
    if asked.print {
        if out.json {
            out.value(&serde_json::json!({ "unit": here.unit(), "text": text }))?;
        } else {
            out.raw(&text)?;
        }
        return Ok(Exit::Ok);
    }
    systemd::needed(here.scope).await?;
    write(&here.unit(), &text)?;
    systemd::tell(here, &["daemon-reload"]).await?;
    if out.json {
        out.value(&serde_json::json!({ "unit": here.unit(), "service": here.service() }))?;
    } else {
        out.line(&format!("Installed {}.", here.unit().display()))?;
        out.hint(&format!(
            "Join and start it: sam runner register{}",
            here.words()
        ));
        if here.scope == Scope::User {
            out.hint("It ends when you sign out of this machine; `loginctl enable-linger` keeps it running.");
        }
    }
    Ok(Exit::Ok)
}

fn write(unit: &Path, text: &str) -> Result<(), Failure> {
    let written = match unit.parent() {
        Some(folder) => std::fs::create_dir_all(folder),
        None => Ok(()),
    };
    written
        .and_then(|()| std::fs::write(unit, text))
        .map_err(|error| Failure::local(&format!("Could not write {}", unit.display()), &error))
}

/// What a unit says.
struct Unit<'a> {
    here: &'a Here,
    vm_agent: &'a Path,
    url: &'a str,
    path: &'a str,
    run_as: Option<&'a str>,
    work: &'a Work,
}

fn utf8(path: &Path) -> Result<&str, Failure> {
    path.to_str().ok_or_else(|| {
        Failure::usage(
            format!("{} is not valid UTF-8.", path.display()),
            "Use a folder whose name is.",
        )
    })
}

/// The arguments with which the vm-agent works for a server, as text.
pub(super) fn arguments(here: &Here, url: &str, work: &Work) -> Result<Vec<String>, Failure> {
    let mut arguments = vec![
        "run".to_owned(),
        "--url".to_owned(),
        url.trim_end_matches('/').to_owned(),
        "--state-dir".to_owned(),
        utf8(&here.agent_state())?.to_owned(),
    ];
    if let Some(most) = work.max_workspaces {
        arguments.extend(["--max-workspaces".to_owned(), most.to_string()]);
    }
    for folder in &work.agent_path {
        let folder = std::path::absolute(folder)
            .map_err(|error| Failure::local("An agent path is wrong", &error))?;
        arguments.extend(["--agent-path".to_owned(), utf8(&folder)?.to_owned()]);
    }
    if work.no_install {
        arguments.push("--no-install".to_owned());
    }
    Ok(arguments)
}

fn text(unit: &Unit<'_>) -> Result<String, Failure> {
    let here = unit.here;
    let system = here.scope == Scope::System;
    let mut line = quoted(utf8(unit.vm_agent)?)?;
    for argument in arguments(here, unit.url, unit.work)? {
        line.push(' ');
        // Of the words of a command, all but the first have variables put into them.
        line.push_str(&quoted(&argument.replace('$', "$$"))?);
    }
    let mut text = String::from(
        "# Written by `sam runner install`, which writes it anew.\n\
         [Unit]\n\
         Description=SAM vm-agent: runs coding agents for ",
    );
    // A description is words; only what would begin a specifier matters in it.
    let _ = writeln!(text, "{}", unit.url.replace('%', "%%"));
    if system {
        text.push_str("Wants=network-online.target\nAfter=network-online.target\n");
    }
    text.push_str("StartLimitIntervalSec=0\n\n[Service]\nType=exec\n");
    let _ = writeln!(text, "ExecStart={line}");
    // Agents and git are looked for where they were when this was installed.
    let _ = writeln!(
        text,
        "Environment={}",
        quoted(&format!("PATH={}", unit.path))?
    );
    if system {
        if let Some(name) = unit.run_as {
            let _ = writeln!(text, "User={}", account(name)?);
        }
        let _ = writeln!(
            text,
            "StateDirectory={}\nStateDirectoryMode=0700",
            here.name
        );
    }
    // 2: it has not joined; 3: it was turned away. Neither changes by trying again.
    text.push_str(
        "Restart=always\nRestartSec=5\nRestartPreventExitStatus=2 3\n\
         KillMode=mixed\nTimeoutStopSec=40\nUMask=0077\nNoNewPrivileges=yes\n\n[Install]\n",
    );
    text.push_str(if system {
        "WantedBy=multi-user.target\n"
    } else {
        "WantedBy=default.target\n"
    });
    Ok(text)
}

/// A word as units take it, quoted where it has to be. A `$` means something in the arguments of a command
/// alone; there it is doubled before.
fn quoted(word: &str) -> Result<String, Failure> {
    if word.chars().any(char::is_control) {
        return Err(Failure::usage(
            "A path or address holds a line end or another control character.",
            "Use one without.",
        ));
    }
    let escaped = word
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('%', "%%");
    let plain = |c: char| c.is_ascii_alphanumeric() || "/:.=_-@+,".contains(c);
    Ok(if escaped.chars().all(plain) && !escaped.is_empty() {
        escaped
    } else {
        format!("\"{escaped}\"")
    })
}

/// The name of an account, which stands in a unit unquoted.
fn account(name: &str) -> Result<&str, Failure> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    if name.is_empty() || name.starts_with('-') || !name.chars().all(plain) {
        return Err(Failure::usage(
            format!("`{name}` cannot be an account's name."),
            "Name an account of this machine.",
        ));
    }
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::runner::Place;

    fn here(system: bool, profile: &str) -> Here {
        let place = Place {
            system,
            state_dir: (!system).then(|| "/home/ada/sam runner".into()),
        };
        Here::of(&place, profile).unwrap()
    }

    fn work() -> Work {
        Work {
            max_workspaces: Some(2),
            agent_path: vec!["/opt/agents".into()],
            no_install: true,
        }
    }

    #[test]
    fn a_system_unit_says_all_it_was_told() {
        let unit = Unit {
            here: &here(true, "work"),
            vm_agent: Path::new("/usr/bin/sam-vm-agent"),
            url: "https://sam.example.com/a%20b",
            path: "/usr/bin:/bin",
            run_as: Some("ada"),
            work: &work(),
        };
        assert_eq!(
            text(&unit).unwrap(),
            "# Written by `sam runner install`, which writes it anew.\n\
             [Unit]\n\
             Description=SAM vm-agent: runs coding agents for https://sam.example.com/a%%20b\n\
             Wants=network-online.target\n\
             After=network-online.target\n\
             StartLimitIntervalSec=0\n\
             \n\
             [Service]\n\
             Type=exec\n\
             ExecStart=/usr/bin/sam-vm-agent run --url \"https://sam.example.com/a%%20b\" \
             --state-dir /var/lib/sam-runner-work/agent --max-workspaces 2 \
             --agent-path /opt/agents --no-install\n\
             Environment=PATH=/usr/bin:/bin\n\
             User=ada\n\
             StateDirectory=sam-runner-work\n\
             StateDirectoryMode=0700\n\
             Restart=always\n\
             RestartSec=5\n\
             RestartPreventExitStatus=2 3\n\
             KillMode=mixed\n\
             TimeoutStopSec=40\n\
             UMask=0077\n\
             NoNewPrivileges=yes\n\
             \n\
             [Install]\n\
             WantedBy=multi-user.target\n"
        );
    }

    #[test]
    fn a_dollar_is_doubled_where_variables_are_put_in_and_nowhere_else() {
        let work = Work {
            max_workspaces: None,
            agent_path: vec!["/agents/$ARCH".into()],
            no_install: false,
        };
        let unit = Unit {
            here: &here(true, "default"),
            vm_agent: Path::new("/opt/$x/sam-vm-agent"),
            url: "https://sam.example.com",
            path: "/bin:/odd/$HOME",
            run_as: None,
            work: &work,
        };
        let text = text(&unit).unwrap();
        for line in [
            "ExecStart=\"/opt/$x/sam-vm-agent\" run --url https://sam.example.com \
             --state-dir /var/lib/sam-runner/agent --agent-path \"/agents/$$ARCH\"\n",
            "Environment=\"PATH=/bin:/odd/$HOME\"\n",
        ] {
            assert!(text.contains(line), "{text}");
        }
    }

    #[test]
    fn words_of_a_unit_are_taken_as_they_are() {
        for (word, wanted) in [
            ("/plain/path", "/plain/path"),
            ("/with space", "\"/with space\""),
            ("%h $HOME", "\"%%h $HOME\""),
            ("a\"b\\c", "\"a\\\"b\\\\c\""),
            ("", "\"\""),
        ] {
            assert_eq!(quoted(word).unwrap(), wanted, "{word}");
        }
        assert!(quoted("two\nlines").is_err());
        for bad in ["", "-x", "a b", "a\nUser=root"] {
            assert!(account(bad).is_err(), "{bad}");
        }
    }

    /// The unit as systemd itself reads it.
    #[test]
    fn systemd_accepts_the_units() {
        let Some(analyze) = programs::find("systemd-analyze") else {
            println!("skipped: systemd-analyze is not on this machine");
            return;
        };
        let folder = tempfile::tempdir().unwrap();
        let vm_agent = programs::find("true").unwrap();
        // What it says of our unit; of the machine's others it may say what it likes.
        let verify = |here: &Here, scope: &str, text: &str| {
            let file = folder.path().join(here.service());
            std::fs::write(&file, text).unwrap();
            let output = std::process::Command::new(&analyze)
                .args([scope, "--man=no", "verify"])
                .arg(&file)
                .env("XDG_RUNTIME_DIR", folder.path())
                .output()
                .unwrap();
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            let ours: Vec<_> = said
                .lines()
                .filter(|line| line.contains(&here.name))
                .map(str::to_owned)
                .collect();
            ours
        };
        for system in [false, true] {
            let here = here(system, "default");
            let scope = if system { "--system" } else { "--user" };
            let unit = Unit {
                here: &here,
                vm_agent: &vm_agent,
                url: "https://sam.example.com/a%20b",
                path: "/usr/bin:/bin:/odd $HOME %h \"x\"",
                run_as: system.then_some("root"),
                work: &work(),
            };
            let text = text(&unit).unwrap();
            assert_eq!(verify(&here, scope, &text), [] as [String; 0]);
            // It does look: a word that it does not know is told.
            let wrong = text.replace("KillMode=mixed", "KillMode=gently");
            assert!(!verify(&here, scope, &wrong).is_empty(), "{scope}");
        }
    }
}
