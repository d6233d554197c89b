package broker

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/sluicehub/sluice/log/broker/consumergroup"
	"github.com/sluicehub/sluice/log/segment"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// fill gives v, and all that is in it, some value.
func fill(r *rand.Rand, v reflect.Value) {
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(r.IntN(2) == 0)
	case reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		v.SetInt(int64(r.IntN(200) - 100))
	case reflect.Float64:
		v.SetFloat(r.Float64())
	case reflect.Uint8:
		v.SetUint(uint64(r.IntN(256)))
	case reflect.String:
		v.SetString(fmt.Sprintf("%*d", r.IntN(200), 1)[r.IntN(2):])
	case reflect.Pointer:
		if r.IntN(3) > 0 {
			v.Set(reflect.New(v.Type().Elem()))
			fill(r, v.Elem())
		}
	case reflect.Slice:
		if n := r.IntN(5); n < 4 {
			v.Set(reflect.MakeSlice(v.Type(), n, n))
		}
		fallthrough
	case reflect.Array:
		for i := range v.Len() {
			fill(r, v.Index(i))
		}
	case reflect.Struct:
		if tags, ok := v.Addr().Interface().(*kmsg.Tags); ok {
			for range max(0, r.IntN(4)-2) {
				tags.Set(uint32(100+r.IntN(100)), make([]byte, r.IntN(3)))
			}
			return
		}
		for i := range v.NumField() {
			fill(r, v.Field(i))
		}
	default:
		panic(v.Kind().String())
	}
}

// TestLayouts: a request of every API, in every version, takes exactly the bytes that kmsg writes, and none fewer.
func TestLayouts(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for key, a := range (&Broker{}).serves() {
		for v := a.min; a.handle != nil && v <= a.max; v++ {
			for range 40 {
				req := kmsg.RequestForKey(int16(key))
				fill(r, reflect.ValueOf(req).Elem())
				req.SetVersion(v)
				body := req.AppendTo(nil)
				if n, err := a.layouts[v-a.min].Check(append(body, "more"...)); n != len(body) || err != nil {
					t.Fatalf("%s v%d: takes %d bytes, %v; want %d: %+v", kmsg.NameForKey(int16(key)), v, n, err, len(body), req)
				}
				for n := 0; n < len(body); n += 1 + r.IntN(1+len(body)/10) {
					if _, err := a.layouts[v-a.min].Check(body[:n]); err == nil {
						t.Fatalf("%s v%d: %d bytes were enough; want %d: %+v", kmsg.NameForKey(int16(key)), v, n, len(body), req)
					}
				}
			}
		}
	}
}

// TestLayoutsOfRecords: what is kept in all versions of the records that brokers write can be read.
func TestLayoutsOfRecords(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	group, offset := kmsg.NewGroupMetadataKey(), kmsg.NewOffsetCommitKey()
	group.Version, offset.Version = groupKeyVersion, 1
	for range 100 {
		for v := range int16(maxGroupValueVersion + 1) {
			value := kmsg.NewGroupMetadataValue()
			fill(r, reflect.ValueOf(&value).Elem())
			value.Version, value.Protocol = v, kmsg.StringPtr("range")
			if _, err := loadGroup(make(map[string]*kmsg.GroupMetadataValue), group.AppendTo(nil), value.AppendTo(nil)); err != nil {
				t.Fatalf("%v: %+v", err, value)
			}
		}
		for v := range int16(5) {
			value := kmsg.NewOffsetCommitValue()
			fill(r, reflect.ValueOf(&value).Elem())
			value.Version = v
			s := &offsetStore{by: make(map[string]map[place]committed), loaded: make(map[string]*consumergroup.Group)}
			if err := s.load(&segment.Header{}, &segment.Record{Key: offset.AppendTo(nil), Value: value.AppendTo(nil)}); err != nil {
				t.Fatalf("%v: %+v", err, value)
			}
		}
		for v := range int16(2) {
			value := kmsg.NewTxnMetadataValue()
			fill(r, reflect.ValueOf(&value).Elem())
			value.Version, value.ProducerID, value.ProducerEpoch, value.State = v, 1, 1, kmsg.TransactionState(txnOngoing)
			if _, err := decodeTxnMeta(value.AppendTo(nil)); err != nil {
				t.Fatalf("%v: %+v", err, value)
			}
		}
	}
}

func BenchmarkLayout(b *testing.B) {
	table := (&Broker{}).serves()
	for _, partitions := range []int{1, 100} {
		produce := kmsg.NewPtrProduceRequest()
		produce.Topics = []kmsg.ProduceRequestTopic{{Partitions: make([]kmsg.ProduceRequestTopicPartition, partitions)}}
		for i := range partitions {
			produce.Topics[0].Partitions[i].Records = make([]byte, 1000)
		}
		fetch := kmsg.NewPtrFetchRequest()
		fetch.Topics = []kmsg.FetchRequestTopic{{Partitions: make([]kmsg.FetchRequestTopicPartition, partitions)}}
		for i := range partitions {
			fetch.Topics[0].Partitions[i] = kmsg.NewFetchRequestTopicPartition()
		}
		for _, req := range []kmsg.Request{produce, fetch} {
			a := &table[req.Key()]
			req.SetVersion(a.max)
			body := req.AppendTo(nil)
			b.Run(fmt.Sprintf("check/%s-of-%d", kmsg.NameForKey(req.Key()), partitions), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if _, err := a.layouts[a.max-a.min].Check(body); err != nil {
						b.Fatal(err)
					}
				}
			})
			b.Run(fmt.Sprintf("decode/%s-of-%d", kmsg.NameForKey(req.Key()), partitions), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if err := req.ReadFrom(body); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
	b.Run("compile", func(b *testing.B) {
		for b.Loop() {
			(&Broker{}).serves()
		}
	})
	b.Run("offset", func(b *testing.B) {
		key, value := kmsg.NewOffsetCommitKey(), kmsg.NewOffsetCommitValue()
		key.Version, value.Version = 1, 3
		rec := segment.Record{Key: key.AppendTo(nil), Value: value.AppendTo(nil)}
		s := &offsetStore{by: make(map[string]map[place]committed)}
		for b.Loop() {
			if err := s.load(&segment.Header{}, &rec); err != nil {
				b.Fatal(err)
			}
		}
	})
}
