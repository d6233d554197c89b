package s3

import (
	"crypto/sha256"
	"strconv"
)

// naming is how the names of objects are made:
//
//	topics.dir / topic / encoded partition / topic + partition + start offset   .ext
//	topics     / orders/ year=2026/month=11/ orders+3+0000001000                .snappy.parquet
//
// The delimiters are settings. Key and header files stand beside their value file as ….keys.ext and ….headers.ext.
// All parts depend on the records only, so a replay writes to the same names.
type naming struct {
	topicsDir string // may be empty
	delim     string // directory.delim
	fileDelim string // file.delim
	pad       int    // filename.offset.zero.pad.width
}

// appendDir appends the directory of the files of a topic and an encoded partition, with the delimiter at its end.
func (n *naming) appendDir(dst []byte, topic string, encoded []byte) []byte {
	if n.topicsDir != "" {
		dst = append(append(dst, n.topicsDir...), n.delim...)
	}
	dst = append(append(dst, topic...), n.delim...)
	if len(encoded) > 0 {
		dst = append(append(dst, encoded...), n.delim...)
	}
	return dst
}

// base returns the name without extension of the file that begins at an offset. The topic is the one the records were
// consumed from, even where a transform has sent them to another: records of two topics must not meet in one name.
func (n *naming) base(dir, topic string, partition int32, start int64) string {
	b := append(append([]byte(dir), topic...), n.fileDelim...)
	b = append(strconv.AppendInt(b, int64(partition), 10), n.fileDelim...)
	digits := strconv.Itoa(int(start))
	for i := len(digits); i < n.pad; i++ {
		b = append(b, '0')
	}
	return string(append(b, digits...))
}

// syncMarker is the mark between the blocks of an Avro file. It must not be random, or a replay would write other
// bytes; so it comes from the object's name.
func syncMarker(key string) (marker [16]byte) {
	sum := sha256.Sum256([]byte("avro sync " + key))
	copy(marker[:], sum[:])
	return marker
}
