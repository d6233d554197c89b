package mysql

import (
	"context"
	"fmt"
	"strconv"

	"github.com/sluicehub/sluice/connectors"
	"github.com/sluicehub/sluice/connectors/cdc"
)

// The converter that makes truth values of tinyint(1), and its name before Debezium 2.6.
const (
	tinyToBoolean       = "io.debezium.connector.binlog.converters.TinyIntOneToBooleanConverter"
	tinyToBooleanBefore = "io.debezium.connector.mysql.converters.TinyIntOneToBooleanConverter"
)

// truthRule says which columns are truth values.
type truthRule struct {
	selector cdc.Patterns // empty: all
	anyWidth bool
}

func (s *settings) parseTruth() {
	for _, name := range s.v.List("converters") {
		selector, _ := cdc.ParsePatterns(s.v.String(name + ".selector")) // checked by the definition
		s.truths = append(s.truths, truthRule{selector, !s.v.Bool(name + ".length.checker")})
	}
}

// codec returns the codec of a column of a table; ok is false if its type has no mapping.
func (c *compiler) codec(ctx context.Context, table string, col *column) (k codec, ok bool, err error) {
	for _, r := range c.s.truths {
		if col.Type == "tinyint" && (r.anyWidth || col.Length == 1) && (len(r.selector) == 0 || r.selector.Match(table+"."+col.Name)) {
			return truth(col.Unsigned), true, nil
		}
	}
	return c.codecs.of(ctx, col)
}

// truth is a codec of numbers that are truth values: true above 0.
func truth(unsigned bool) codec {
	k := codec{schema: connectors.BooleanSchema, zero: connectors.BoolValue(false), text: func(dst, text []byte) ([]byte, error) {
		n, err := strconv.ParseInt(view(text), 10, 64)
		if err != nil {
			return dst, fmt.Errorf("%q: %w", text, errText)
		}
		return connectors.AppendBool(dst, n > 0), nil
	}}
	k.log = only(typeTiny, func(dst, raw []byte) ([]byte, error) {
		if unsigned {
			return connectors.AppendBool(dst, raw[0] > 0), nil
		}
		return connectors.AppendBool(dst, signed(raw) > 0), nil
	})
	return k
}
