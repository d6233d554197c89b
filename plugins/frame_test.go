package plugins

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/sluicehub/sluice/connectors"
	"github.com/sluicehub/sluice/plugins/pluginpb"
	"google.golang.org/protobuf/proto"
)

// randomRecords makes records of every shape, with schemas out of a few.
func randomRecords(r *rand.Rand, schemas []*connectors.Schema) []connectors.Record {
	data := func() connectors.Data {
		bytes := make([]byte, r.IntN(200))
		switch k := r.IntN(len(schemas) + 2); k {
		case 0:
			return connectors.Data{}
		case 1:
			return connectors.Data{Bytes: bytes}
		default:
			return connectors.Data{Schema: schemas[k-2], Bytes: bytes}
		}
	}
	list := make([]connectors.Record, r.IntN(50))
	for i := range list {
		list[i] = connectors.Record{Topic: fmt.Sprintf("topic-%d", r.IntN(4)), Partition: int32(r.IntN(5) - 1),
			Offset: r.Int64() - r.Int64(), Timestamp: r.Int64N(math.MaxInt64) - 1, Key: data(), Value: data()}
		for range r.IntN(3) {
			list[i].Headers = append(list[i].Headers, connectors.Header{Key: fmt.Sprint("h", r.IntN(3)), Value: data()})
		}
	}
	return list
}

func TestRecordsCrossUnchanged(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	schemas := []*connectors.Schema{connectors.StringSchema, {Type: connectors.String}, everySchema(), connectors.OptionalBytesSchema}
	e := newEncoder(newMemory())
	var reader schemaReader
	sent := 0
	for i := range 60 {
		list := randomRecords(r, schemas)
		m, err := e.records(list)
		if err != nil {
			t.Fatal(err)
		}
		if i%7 == 3 { // is not sent after all
			e.drop(m)
			continue
		}
		sent += len(m.Schemas)
		text, err := proto.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		e.memory.give(m.Frames)
		var arrived pluginpb.Records
		if err := proto.Unmarshal(text, &arrived); err != nil {
			t.Fatal(err)
		}
		known, err := reader.add(&arrived)
		if err != nil {
			t.Fatal(err)
		}
		got, err := decodeRecords(&arrived, known, nil)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(list, got, cmp.Comparer(func(a, b *connectors.Schema) bool { return a.Equal(b) })); diff != "" && len(list) > 0 {
			t.Fatal(diff)
		}
	}
	if sent != 3 {
		t.Fatalf("%d schemas were sent, there are 3 different ones", sent)
	}
}

func TestMadeUpSchemasAreRefusedBeforeTheyFillTheMemory(t *testing.T) {
	e := newEncoder(newMemory())
	const many = maxPointers + 10
	e.schemas.byText = map[string]uint32{}
	for i := range maxSchemas - many { // as if they had been sent
		e.schemas.byText[fmt.Sprint("schema ", i)] = uint32(i + 1)
	}
	for i := range many + 1 {
		s := &connectors.Schema{Type: connectors.String, Version: i + 1}
		m, err := e.records([]connectors.Record{{Topic: "t", Value: connectors.Data{Schema: s}}})
		if (err != nil) != (i == many) {
			t.Fatalf("schema %d: %v", i, err)
		}
		if err == nil && len(m.Schemas) != 1 {
			t.Fatalf("schema %d: %d are new", i, len(m.Schemas))
		}
	}
	if n := len(e.schemas.byPointer); n > maxPointers {
		t.Fatalf("%d pointers are remembered", n)
	}
}

func FuzzDecodeRecords(f *testing.F) {
	schemas := []*connectors.Schema{connectors.StringSchema, everySchema()}
	m, err := newEncoder(newMemory()).records(randomRecords(rand.New(rand.NewPCG(3, 4)), schemas))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(m.Count, m.Frames)
	f.Add(uint32(1), []byte{0, 1, 0, 0, 0, 2, 0, 0})
	f.Add(uint32(math.MaxUint32), []byte{0, 1, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0x0f})
	f.Fuzz(func(t *testing.T, count uint32, frames []byte) {
		m := &pluginpb.Records{Count: count, Frames: frames, Topics: []string{"a", "b"}}
		list, err := decodeRecords(m, schemas, nil)
		if err != nil {
			return
		}
		again, err := newEncoder(newMemory()).records(list)
		if err != nil {
			t.Fatal(err)
		}
		var reader schemaReader
		known, err := reader.add(again)
		if err != nil {
			t.Fatal(err)
		}
		twice, err := decodeRecords(again, known, nil)
		if err != nil || len(twice) != len(list) {
			t.Fatalf("%d records became %d: %v", len(list), len(twice), err)
		}
	})
}

// everySchema has every type and every property.
func everySchema() *connectors.Schema {
	def, null := connectors.StringValue("new"), connectors.Null()
	list := connectors.ListValue(connectors.Array, []connectors.Value{connectors.IntValue(connectors.Int16, -3)})
	nan := connectors.FloatValue(connectors.Float64, math.NaN())
	return &connectors.Schema{Type: connectors.Struct, Name: "server.public.My Table-1.Value", Version: 3, Doc: "A row.", Optional: true,
		Fields: []connectors.Field{
			{Name: "my column", Schema: &connectors.Schema{Type: connectors.String, Default: &def, Parameters: []connectors.Parameter{{Name: "b", Value: "2"}, {Name: "a", Value: "1"}}}},
			{Name: "null by default", Schema: &connectors.Schema{Type: connectors.Int32, Optional: true, Default: &null}},
			{Name: "list", Schema: &connectors.Schema{Type: connectors.Array, Elem: &connectors.Schema{Type: connectors.Int16}, Default: &list}},
			{Name: "map", Schema: &connectors.Schema{Type: connectors.Map, Key: connectors.Int8Schema, Elem: connectors.OptionalBooleanSchema}},
			{Name: "nan", Schema: &connectors.Schema{Type: connectors.Float64, Default: &nan}},
			{Name: "decimal", Schema: &connectors.Schema{Type: connectors.Bytes, Name: connectors.DecimalName, Parameters: []connectors.Parameter{{Name: "scale", Value: "2"}}}},
			{Name: "nothing", Schema: &connectors.Schema{Type: connectors.Struct}},
			{Name: "f32", Schema: connectors.Float32Schema}, {Name: "i64", Schema: connectors.Int64Schema},
		}}
}

func TestSchemasCrossUnchanged(t *testing.T) {
	text, err := appendSchema(nil, everySchema())
	if err != nil {
		t.Fatal(err)
	}
	got, err := readSchema(text)
	if err != nil || !got.Equal(everySchema()) {
		t.Fatalf("%s\n%v", text, err)
	}
	// The order of parameters is how they are printed; Equal does not look at it.
	if got.Fields[0].Schema.Parameters[0].Name != "b" {
		t.Fatal("parameters have another order")
	}
}

func TestSchemasThatCannotBe(t *testing.T) {
	deep := &connectors.Schema{Type: connectors.Array}
	deep.Elem = deep
	bad := connectors.StringValue("x")
	for name, s := range map[string]*connectors.Schema{
		"endless":               deep,
		"array of nothing":      {Type: connectors.Array},
		"map without keys":      {Type: connectors.Map, Elem: connectors.StringSchema},
		"field without schema":  {Type: connectors.Struct, Fields: []connectors.Field{{Name: "x"}}},
		"default of other type": {Type: connectors.Int8, Default: &bad},
	} {
		if _, err := appendSchema(nil, s); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func FuzzReadSchema(f *testing.F) {
	good, err := appendSchema(nil, everySchema())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte(`{"type":"array","elem":{"type":"map","key":{"type":"string"},"elem":{"type":"int8","default":"Ag=="}}}`))
	f.Add([]byte(`{"type":"struct","fields":[{"name":"x","schema":null}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		s, err := readSchema(text)
		if err != nil {
			return
		}
		again, err := appendSchema(nil, s)
		if err != nil {
			t.Fatalf("a schema that was read cannot be written: %v", err)
		}
		if twice, err := readSchema(again); err != nil || !twice.Equal(s) {
			t.Fatalf("%s became %s: %v", text, again, err)
		}
	})
}
