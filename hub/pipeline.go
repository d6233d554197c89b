package hub

import (
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/sluicehub/sluice/connectors"
)

// pipeline is what a record passes between a connector and the log. It belongs to one task and one goroutine.
type pipeline struct {
	transforms         Transforms
	header, key, value Converter
	// The converters' classes as configured, for dead-letter headers.
	headerClass, keyClass, valueClass string
	// plain brings a source's record that cannot be converted into a form that a person can read: JSON with schemas.
	plain   Converter
	writing sync.Mutex // held while plain works: a source reports rows while others are converted
}

// class names what works at a stage.
func (p *pipeline) class(at stage) string {
	switch at {
	case stageHeaderConverter:
		return p.headerClass
	case stageKeyConverter:
		return p.keyClass
	case stageValueConverter:
		return p.valueClass
	}
	return ""
}

// readable returns a source's record as the bytes for the dead-letter topic. There are no original bytes of a row;
// what comes nearest is Connect's JSON with its schema. Where even that fails, the encoded bytes stand for it.
func (p *pipeline) readable(rec connectors.Record) kgo.Record {
	p.writing.Lock()
	defer p.writing.Unlock()
	r := kgo.Record{Topic: rec.Topic, Key: p.text(rec.Topic, rec.Key), Value: p.text(rec.Topic, rec.Value)}
	if rec.Timestamp != connectors.NoTimestamp {
		r.Timestamp = time.UnixMilli(rec.Timestamp)
	}
	for _, h := range rec.Headers {
		r.Headers = append(r.Headers, kgo.RecordHeader{Key: h.Key, Value: p.text(rec.Topic, h.Value)})
	}
	return r
}

func (p *pipeline) text(topic string, d connectors.Data) []byte {
	if d.IsNull() {
		return nil
	}
	if out, err := p.plain.FromConnect(nil, topic, d); err == nil {
		return out
	}
	return append([]byte{}, d.Bytes...)
}
