package mysql

import (
	"net/netip"

	"github.com/sluicehub/sluice/connectors"
)

// inet is a codec of MariaDB's inet4 and inet6: 4 or 16 bytes in the log, of which those at the end that are zero are
// left out.
func inet() codec {
	six := func(size int) appendFunc {
		return func(dst, raw []byte) ([]byte, error) {
			var b [16]byte
			if len(raw) > size {
				return dst, errImage
			}
			copy(b[:], raw)
			a, _ := netip.AddrFromSlice(b[:size])
			return connectors.AppendString(dst, a.String()), nil
		}
	}
	return codec{schema: connectors.StringSchema, text: appendUTF8, zero: connectors.StringValue(""), log: func(t byte, meta uint16) appendFunc {
		if t != typeString {
			return nil
		}
		if _, n := realType(typeString, meta); n == 4 {
			return six(4)
		}
		return six(16)
	}}
}
