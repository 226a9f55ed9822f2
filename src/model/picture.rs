//! Which pictures are taken from people: what a browser shows as a picture and never runs, by its bytes and not by its name.

use std::fmt;

/// A kind of picture that every browser shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PictureKind {
    Webp,
    Jpeg,
    Png,
    Gif,
    Avif,
}

/// Why bytes are not taken as a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoPicture {
    /// As telephones keep them; most browsers show nothing of it.
    Heic,
    /// Text that may hold a script.
    Svg,
    Unknown,
    /// A picture, and another kind than its name says.
    Misnamed(PictureKind),
}

impl PictureKind {
    /// By its first bytes.
    ///
    /// # Errors
    /// When it is none that is taken.
    pub fn of(bytes: &[u8]) -> Result<Self, NoPicture> {
        let at = |from: usize, text: &[u8]| bytes.get(from..from + text.len()) == Some(text);
        if at(0, b"RIFF") && at(8, b"WEBP") {
            return Ok(Self::Webp);
        }
        if at(0, &[0xff, 0xd8, 0xff]) {
            return Ok(Self::Jpeg);
        }
        if at(0, b"\x89PNG\r\n\x1a\n") {
            return Ok(Self::Png);
        }
        if at(0, b"GIF87a") || at(0, b"GIF89a") {
            return Ok(Self::Gif);
        }
        if at(4, b"ftyp") {
            let brand = bytes.get(8..12).unwrap_or_default();
            return match brand {
                b"avif" | b"avis" => Ok(Self::Avif),
                b"heic" | b"heix" | b"hevc" | b"heim" | b"heis" | b"mif1" | b"msf1" => Err(NoPicture::Heic),
                _ => Err(NoPicture::Unknown),
            };
        }
        let begin = String::from_utf8_lossy(bytes.get(..bytes.len().min(1024)).unwrap_or_default());
        Err(if begin.to_ascii_lowercase().contains("<svg") { NoPicture::Svg } else { NoPicture::Unknown })
    }

    /// The same, under this name.
    ///
    /// # Errors
    /// When it is no picture, or the name says another kind.
    pub fn named(name: &str, bytes: &[u8]) -> Result<Self, NoPicture> {
        let kind = Self::of(bytes)?;
        let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
        let fits = kind.endings().iter().any(|each| ending.eq_ignore_ascii_case(each));
        if fits { Ok(kind) } else { Err(NoPicture::Misnamed(kind)) }
    }

    fn endings(self) -> &'static [&'static str] {
        match self {
            Self::Webp => &["webp"],
            Self::Jpeg => &["jpg", "jpeg"],
            Self::Png => &["png"],
            Self::Gif => &["gif"],
            Self::Avif => &["avif"],
        }
    }

    #[must_use]
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Webp => "image/webp",
            Self::Jpeg => "image/jpeg",
            Self::Png => "image/png",
            Self::Gif => "image/gif",
            Self::Avif => "image/avif",
        }
    }
}

impl fmt::Display for PictureKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.endings()[0])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_is_known_by_its_bytes() {
        let webp = b"RIFF\x10\0\0\0WEBPVP8 ";
        let cases: &[(&str, &[u8], Result<PictureKind, NoPicture>)] = &[
            ("a.webp", webp, Ok(PictureKind::Webp)),
            ("a.JPEG", b"\xff\xd8\xff\xe1....Exif", Ok(PictureKind::Jpeg)),
            ("a.png", b"\x89PNG\r\n\x1a\n....", Ok(PictureKind::Png)),
            ("a.gif", b"GIF89a", Ok(PictureKind::Gif)),
            ("a.avif", b"\0\0\0\x1cftypavif", Ok(PictureKind::Avif)),
            ("a.heic", b"\0\0\0\x18ftypheic\0\0\0\0mif1", Err(NoPicture::Heic)),
            ("a.jpg", b"\0\0\0\x18ftypheic", Err(NoPicture::Heic)),
            ("a.svg", b"<?xml version=\"1.0\"?><SVG onload=\"alert(1)\"/>", Err(NoPicture::Svg)),
            ("a.webp", b"<html><svg>", Err(NoPicture::Svg)),
            ("a.html", webp, Err(NoPicture::Misnamed(PictureKind::Webp))),
            ("a.jpg", b"\0\0\0\x18ftypisom", Err(NoPicture::Unknown)),
            ("a.jpg", b"<script>alert(1)</script>", Err(NoPicture::Unknown)),
            ("a.jpg", b"", Err(NoPicture::Unknown)),
            ("webp", webp, Err(NoPicture::Misnamed(PictureKind::Webp))),
        ];
        for (name, bytes, expected) in cases {
            assert_eq!(PictureKind::named(name, bytes), *expected, "{name} {}", bytes.escape_ascii());
        }
    }
}
