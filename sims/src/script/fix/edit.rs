//! The edit that makes one small change.

use crate::script::toolbox::Action;

/// The edit that turns one text of a file into another: the lines that differ, and as many around them as it takes to
/// name a place that occurs once.
pub(in crate::script) fn edit(path: &str, before: &str, after: &str) -> Action {
    let (old_lines, new_lines): (Vec<&str>, Vec<&str>) = (
        before.split_inclusive('\n').collect(),
        after.split_inclusive('\n').collect(),
    );
    let same = |(a, b): &(&&str, &&str)| a == b;
    let shorter = old_lines.len().min(new_lines.len());
    let mut head = old_lines
        .iter()
        .zip(&new_lines)
        .take_while(same)
        .count()
        .min(shorter);
    let mut tail = old_lines
        .iter()
        .rev()
        .zip(new_lines.iter().rev())
        .take_while(same)
        .count()
        .min(shorter - head);
    loop {
        let middle = |lines: &[&str]| {
            let end = lines.len() - tail;
            lines
                .get(head..end)
                .map(<[&str]>::concat)
                .unwrap_or_default()
        };
        let (old, new) = (middle(&old_lines), middle(&new_lines));
        let once = !old.is_empty() && before.matches(old.as_str()).count() == 1;
        if once || (head == 0 && tail == 0) {
            // Without the last line break: some tools read a file without it.
            let trim = |text: String| {
                text.strip_suffix('\n')
                    .map_or_else(|| text.clone(), str::to_owned)
            };
            let (short_old, short_new) = (trim(old.clone()), trim(new.clone()));
            let (old, new) = if before.matches(short_old.as_str()).count() == 1 {
                (short_old, short_new)
            } else {
                (old, new)
            };
            return Action::Edit {
                path: path.to_owned(),
                old,
                new,
                whole: after.to_owned(),
            };
        }
        head = head.saturating_sub(1);
        tail = tail.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edit_names_a_place_that_occurs_once() {
        let check = |before: &str, after: &str, expect: (&str, &str)| {
            let Action::Edit {
                old, new, whole, ..
            } = edit("a.js", before, after)
            else {
                panic!()
            };
            assert_eq!((old.as_str(), new.as_str()), expect);
            assert_eq!(before.replacen(&old, &new, 1), after);
            assert_eq!(whole, after);
        };
        check("a\nb\nc\n", "a\nB\nc\n", ("b", "B"));
        check(
            "x\n  if (a)\n    return;\n  if (a)\n    stop;\n",
            "x\n  if (a)\n    return;\n  if (!a)\n    stop;\n",
            (
                "    return;\n  if (a)\n    stop;",
                "    return;\n  if (!a)\n    stop;",
            ),
        );
        check("bb\nb\nc", "bb\nB\nc", ("bb\nb\nc", "bb\nB\nc"));
    }
}
