//! What happened in a run, to see that a run was worth something.

use std::fmt;

macro_rules! counts {
    ($($(#[doc = $doc:literal])* $name:ident $word:literal;)*) => {
        /// What happened in one run or in many.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct Counts {
            $($(#[doc = $doc])* pub $name: u64,)*
        }

        impl Counts {
            /// Adds another run's counts.
            pub const fn add(&mut self, other: &Self) {
                $(self.$name += other.$name;)*
            }

            /// What never happened.
            #[must_use]
            pub fn missing(&self) -> Vec<&'static str> {
                let mut missing = Vec::new();
                $(if self.$name == 0 { missing.push($word); })*
                missing
            }
        }

        impl fmt::Display for Counts {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let parts = [$(format!("{} {}", $word, self.$name)),*];
                f.write_str(&parts.join(", "))
            }
        }
    };
}

counts! {
    /// Events.
    events "events";
    /// Tasks that ended completed.
    completed "tasks completed";
    /// Tasks that ended failed.
    failed "failed";
    /// Tasks that ended cancelled.
    cancelled "cancelled";
    /// Tasks that wait for a person in the end.
    waiting "waiting for a person";
    /// Prompts that ended unknown.
    unknown "prompts unknown";
    /// Placements beyond a task's first.
    further_attempts "further attempts";
    /// vm-agents killed.
    kills "vm-agents killed";
    /// Coding agents killed.
    agents_killed "agents killed";
    /// Disks lost.
    disks_lost "disks lost";
    /// Machines that stayed away for longer than the grace.
    absences "long absences";
    /// Machines that never came back.
    gone "machines gone for good";
    /// Links cut.
    cuts "links cut";
    /// Object turns lost, before or after their write.
    object_crashes "object turns lost";
    /// Messages lost on the way.
    lost "messages lost";
    /// Messages that were taken in before.
    duplicates "repeated";
    /// Messages that came too early.
    gaps "early";
    /// Clock jumps.
    clock_jumps "clock jumps";
    /// Second agents under a machine's identity.
    twins "second agents";
    /// Agents refused as one of two.
    refused "refused as one of two";
    /// Frames that followers heard.
    heard "feed frames heard";
    /// Followers that had to begin afresh.
    resets "feed resets";
    /// Followers whose authorisation ran out.
    expired "feed authorisations run out";
    /// Tombstones made.
    tombstones "tombstones";
    /// Purges of tombstones.
    purges "purges";
    /// Restores of a project's history.
    restores "restores";
}
