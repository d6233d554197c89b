package converters

import (
	"fmt"

	"github.com/sluicehub/sluice/configs"
	"github.com/sluicehub/sluice/connectors"
)

// delegateKey names the converter of what is not bytes; its settings stand behind it.
const delegateKey = "delegate.converter.type"

func delegatingDefinition() *configs.Definition {
	return plainDefinition(
		configs.Key{Name: delegateKey, Type: configs.Class, Importance: configs.Low, Example: "org.apache.kafka.connect.json.JsonConverter", Check: checkDelegate,
			Doc: "Converter of what is not bytes: heartbeats, records of transactions and schema changes. Without it, they are errors."},
		configs.Key{Name: delegateKey + ".*", Type: configs.String, Importance: configs.Low, Doc: "Settings of that converter."},
	)
}

func checkDelegate(class string) error {
	_, err := Find(class)
	return err
}

// delegating is Debezium's BinaryDataConverter, and ByteArrayConverter before it: bytes as they are, anything else by
// another converter. It reads bytes only.
type delegating struct {
	bytesConverter
	other Converter // nil: there is none
}

func newDelegating(v configs.Values, role Role, deps Deps) (Converter, error) {
	class := v.String(delegateKey)
	if class == "" {
		return delegating{}, nil
	}
	other, err := New(class, v.Prefixed(delegateKey+"."), role, deps)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", delegateKey, err)
	}
	return delegating{other: other}, nil
}

// FromConnect takes bytes, and what the other converter takes. A Decimal is not bytes.
func (c delegating) FromConnect(dst []byte, topic string, d connectors.Data) ([]byte, error) {
	if d.IsNull() || d.Schema != nil && d.Schema.Type == connectors.Bytes && d.Schema.Name != connectors.DecimalName {
		return c.bytesConverter.FromConnect(dst, topic, d)
	}
	if c.other != nil {
		return c.other.FromConnect(dst, topic, d)
	}
	null, err := isNull(d)
	if err == nil && (d.Schema == nil || d.Schema.Type == connectors.Bytes) && null {
		return nil, nil
	}
	return nil, fmt.Errorf("topic %s has %s, which is not bytes; "+delegateKey+" names the converter of such", topic, typeOf(d))
}
