package postgres

import (
	"crypto/md5"
	"encoding/hex"
	"math"

	"github.com/sluicehub/sluice/connectors"
	"github.com/sluicehub/sluice/connectors/cdc"
)

// unchanged returns what stands for a value that the server did not send because an update left it as it was.
func unchanged(s *connectors.Schema, modes *valueModes) connectors.Value {
	p := modes.placeholder
	switch s.Type {
	case connectors.String:
		return connectors.StringBytesValue(p)
	case connectors.Bytes:
		return connectors.BytesValue(p)
	case connectors.Array:
		return connectors.ListValue(connectors.Array, unchangedElements(s.Elem, modes))
	case connectors.Map:
		return connectors.ListValue(connectors.Map, []connectors.Value{connectors.StringBytesValue(p), connectors.StringBytesValue(p)})
	case connectors.Struct:
		list := make([]connectors.Value, len(s.Fields))
		for i, f := range s.Fields {
			switch {
			case f.Schema.Optional:
			case f.Schema.Type == connectors.Bytes:
				list[i] = connectors.BytesValue(p)
			case f.Schema.Type == connectors.Float64:
				list[i] = connectors.FloatValue(connectors.Float64, 0)
			default:
				list[i] = connectors.IntValue(f.Schema.Type, 0)
			}
		}
		return connectors.ListValue(connectors.Struct, list)
	case connectors.Boolean:
		return connectors.BoolValue(false)
	case connectors.Float32, connectors.Float64:
		return connectors.FloatValue(s.Type, math.NaN()) // a number could be taken for the value
	}
	return connectors.IntValue(s.Type, 0)
}

func unchangedElements(s *connectors.Schema, modes *valueModes) []connectors.Value {
	p := modes.placeholder
	if s.Name == cdc.UUIDName {
		return []connectors.Value{connectors.StringValue(nameUUID(p))}
	}
	switch s.Type {
	case connectors.Int16, connectors.Int32, connectors.Int64:
		list := make([]connectors.Value, len(p))
		for i, b := range p {
			list[i] = connectors.IntValue(s.Type, int64(int8(b)))
		}
		return list
	case connectors.Float32, connectors.Float64:
		list := make([]connectors.Value, len(p))
		for i, b := range p {
			list[i] = connectors.FloatValue(s.Type, float64(int8(b)))
		}
		return list
	}
	return []connectors.Value{unchanged(s, modes)}
}

// nameUUID returns the UUID of version 3 that Java's UUID.nameUUIDFromBytes makes.
func nameUUID(name []byte) string {
	sum := md5.Sum(name)
	sum[6] = sum[6]&0x0f | 0x30
	sum[8] = sum[8]&0x3f | 0x80
	h := hex.EncodeToString(sum[:])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}
