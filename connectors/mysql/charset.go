package mysql

import (
	"context"
	"encoding/hex"
	"fmt"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/korean"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/traditionalchinese"
	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/encoding/unicode/utf32"
)

// decoder turns text of a character set into UTF-8. nil is for text that is UTF-8 already.
type decoder func(dst, text []byte) ([]byte, error)

// charsets makes decoders. The log has text in the column's character set, whatever the session's is.
type charsets struct {
	conn  *session
	known map[string]decoder
	// collations are the character sets by the number of a collation, for logs that name no character set.
	collations map[uint64]string
}

// of returns the decoder of a character set.
func (c *charsets) of(ctx context.Context, name string) (decoder, error) {
	switch name {
	case "", "utf8mb4", "utf8mb3", "utf8", "ascii", "binary":
		return nil, nil
	}
	if d, ok := c.known[name]; ok {
		return d, nil
	}
	d, err := c.make(ctx, name)
	if err == nil {
		c.known[name] = d
	}
	return d, err
}

func (c *charsets) make(ctx context.Context, name string) (decoder, error) {
	switch name {
	case "ucs2", "utf16":
		return multibyte(unicode.UTF16(unicode.BigEndian, unicode.IgnoreBOM)), nil
	case "utf16le":
		return multibyte(unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM)), nil
	case "utf32":
		return multibyte(utf32.UTF32(utf32.BigEndian, utf32.IgnoreBOM)), nil
	case "gbk", "gb2312":
		return multibyte(simplifiedchinese.GBK), nil
	case "gb18030":
		return multibyte(simplifiedchinese.GB18030), nil
	case "big5":
		return multibyte(traditionalchinese.Big5), nil
	case "sjis", "cp932":
		return multibyte(japanese.ShiftJIS), nil
	case "ujis", "eucjpms":
		return multibyte(japanese.EUCJP), nil
	case "euckr":
		return multibyte(korean.EUCKR), nil
	}
	return c.singleByte(ctx, name)
}

// singleByte asks the server what its 256 characters are, so that they are exactly what it takes them for.
func (c *charsets) singleByte(ctx context.Context, name string) (decoder, error) {
	if strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789") != "" {
		return nil, fmt.Errorf("character set %q is not known", name)
	}
	var sql strings.Builder
	sql.WriteString("SELECT ")
	for i := range 256 {
		if i > 0 {
			sql.WriteByte(',')
		}
		fmt.Fprintf(&sql, "HEX(CONVERT(_%s x'%02x' USING utf8mb4))", name, i)
	}
	row, err := c.conn.one(ctx, sql.String())
	if err != nil {
		return nil, fmt.Errorf("ask for the characters of %s: %w", name, err)
	}
	var table [256][]byte
	for i, h := range row {
		if table[i], err = hex.DecodeString(h); err != nil || !utf8.Valid(table[i]) {
			return nil, fmt.Errorf("character %02x of %s is %s", i, name, h)
		}
	}
	return func(dst, text []byte) ([]byte, error) {
		for _, b := range text {
			dst = append(dst, table[b]...)
		}
		return dst, nil
	}, nil
}

func multibyte(e encoding.Encoding) decoder {
	d := e.NewDecoder()
	return func(dst, text []byte) ([]byte, error) {
		b, err := d.Bytes(text)
		return append(dst, b...), err
	}
}

// collation returns the character set of a collation by its number.
func (c *charsets) collation(ctx context.Context, number uint64) (string, error) {
	if c.collations == nil {
		rows, err := c.conn.query(ctx, "SELECT ID, CHARACTER_SET_NAME FROM information_schema.COLLATIONS WHERE ID IS NOT NULL")
		if err != nil {
			return "", fmt.Errorf("read the collations: %w", err)
		}
		c.collations = map[uint64]string{}
		for _, r := range rows {
			var id uint64
			fmt.Sscan(r[0], &id)
			c.collations[id] = r[1]
		}
	}
	return c.collations[number], nil
}
