//! Programs that an installation hands out, and what a release says of them.
//!
//! Model: of each [`Program`] one version is released, for some platforms. Its [`Release`] is a JSON
//! document in object storage, and each file lies beside it under its own SHA-256. Files are stored
//! first and the document last, so whoever reads a document finds every file that it names, and a file
//! that was damaged has another hash than the one it is asked for by.
//!
//! Invariant: whoever downloads compares what came with the document, and keeps nothing else.

use serde::{Deserialize, Serialize};

/// A program that is handed out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// `sam`, the command line.
    Cli,
    /// `sam-vm-agent`, which makes a machine a node.
    Agent,
    /// `sam-harness`, our coding agent.
    Harness,
}

impl Program {
    /// Its name in addresses and in storage.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Cli => "cli",
            Self::Agent => "agent",
            Self::Harness => "harness",
        }
    }

    /// Its file's name.
    #[must_use]
    pub const fn executable(self) -> &'static str {
        match self {
            Self::Cli => "sam",
            Self::Agent => "sam-vm-agent",
            Self::Harness => "sam-harness",
        }
    }
}

/// Operating systems that programs are built for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Os {
    /// Linux.
    Linux,
    /// macOS.
    Darwin,
}

impl Os {
    /// The one by a name that it goes by: `linux`; `darwin` or `macos`; in any case.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        match name.to_ascii_lowercase().as_str() {
            "linux" => Some(Self::Linux),
            "darwin" | "macos" => Some(Self::Darwin),
            _ => None,
        }
    }

    /// The word on the wire.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Linux => "linux",
            Self::Darwin => "darwin",
        }
    }

    /// What people call it.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Linux => "Linux",
            Self::Darwin => "macOS",
        }
    }
}

/// Processors that programs are built for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Arch {
    /// 64-bit x86.
    Amd64,
    /// 64-bit ARM.
    Arm64,
}

impl Arch {
    /// The one by a name that it goes by: `amd64` or `x86_64`; `arm64` or `aarch64`; in any case.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        match name.to_ascii_lowercase().as_str() {
            "amd64" | "x86_64" => Some(Self::Amd64),
            "arm64" | "aarch64" => Some(Self::Arm64),
            _ => None,
        }
    }

    /// The word on the wire.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Amd64 => "amd64",
            Self::Arm64 => "arm64",
        }
    }
}

/// What is released of one program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Release {
    /// Its version, `1.2.3`.
    pub version: String,
    /// Its files, one for each platform.
    pub downloads: Vec<Download>,
}

/// One file of a release.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Download {
    /// The operating system that it runs on.
    pub os: Os,
    /// The processor that it runs on.
    pub arch: Arch,
    /// The SHA-256 of its bytes, 64 lower-case hexadecimal digits.
    pub sha256: String,
    /// Its length in bytes.
    pub bytes: u64,
}

impl Release {
    /// The file for a platform.
    #[must_use]
    pub fn for_platform(&self, os: Os, arch: Arch) -> Option<&Download> {
        let fits = |download: &&Download| download.os == os && download.arch == arch;
        self.downloads.iter().find(fits)
    }

    /// Its platforms, `linux/amd64, darwin/arm64`.
    #[must_use]
    pub fn platforms(&self) -> String {
        let words: Vec<String> = self.downloads.iter().map(Download::platform).collect();
        words.join(", ")
    }
}

impl Download {
    /// Its platform, `linux/amd64`.
    #[must_use]
    pub fn platform(&self) -> String {
        format!("{}/{}", self.os.word(), self.arch.word())
    }
}

/// How one begins with the command line: what to do, and the command. `URL` stands for the
/// installation's address. The program's help and the web app show the same.
pub const QUICK_START: &[(&str, &str)] = &[
    ("Sign in through the browser", "sam auth login --url URL"),
    (
        "Name the repository to work on",
        "sam project create --repo https://example.com/team/repository.git",
    ),
    (
        "Describe work and watch it being done",
        "sam task submit \"Find out why the tests fail and mend it\" --follow",
    ),
    ("See what came of it", "sam task diff"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn platforms_go_by_the_names_that_systems_give_them() {
        for (os, arch, expected) in [
            ("linux", "amd64", Some((Os::Linux, Arch::Amd64))),
            ("Linux", "x86_64", Some((Os::Linux, Arch::Amd64))),
            ("Darwin", "arm64", Some((Os::Darwin, Arch::Arm64))),
            ("macos", "aarch64", Some((Os::Darwin, Arch::Arm64))),
            ("plan9", "amd64", None),
            ("linux", "mips", None),
        ] {
            assert_eq!(
                Os::named(os).zip(Arch::named(arch)),
                expected,
                "{os} {arch}"
            );
        }
        for os in [Os::Linux, Os::Darwin] {
            assert_eq!(Os::named(os.word()), Some(os));
        }
        for arch in [Arch::Amd64, Arch::Arm64] {
            assert_eq!(Arch::named(arch.word()), Some(arch));
        }
    }

    #[test]
    fn a_document_is_read_as_it_is_published() {
        let text = r#"{"version":"0.1.0","downloads":[
            {"os":"linux","arch":"amd64","sha256":"ab","bytes":7},
            {"os":"darwin","arch":"arm64","sha256":"cd","bytes":8}]}"#;
        let release: Release = serde_json::from_str(text).unwrap();
        assert_eq!(release.platforms(), "linux/amd64, darwin/arm64");
        let found = release.for_platform(Os::Darwin, Arch::Arm64).unwrap();
        assert_eq!(found.sha256, "cd");
        assert_eq!(release.for_platform(Os::Darwin, Arch::Amd64), None);
    }
}
