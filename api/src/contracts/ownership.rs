//! Which path belongs to whom.

/// How closely `pattern` fits a request: `None`, not at all. A path below a pattern fits it. More segments fit closer, then more
/// literal ones, then a pattern that names the method.
pub(super) fn specificity(pattern: &str, method: &str, path: &str) -> Option<(usize, usize, bool)> {
    let (wanted_method, pattern) = pattern.split_once(' ').map_or((None, pattern), |(method, pattern)| (Some(method), pattern));
    if wanted_method.is_some_and(|wanted| wanted != method) {
        return None;
    }
    let mut segments = path.split('/').skip(1);
    let (mut length, mut literal) = (0, 0);
    for wanted in pattern.split('/').skip(1) {
        let segment = segments.next()?;
        length += 1;
        if wanted == segment {
            literal += 1;
        } else if wanted != "{}" || segment.is_empty() {
            return None;
        }
    }
    Some((length, literal, wanted_method.is_some()))
}
