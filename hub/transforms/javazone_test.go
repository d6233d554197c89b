package transforms

import (
	"testing"
	"time"

	"github.com/sluicehub/sluice/connectors"
)

// A time of day moves to the offset that the zone has now.
func TestTimeOfDayInZone(t *testing.T) {
	zone, err := parseZone("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	for now, want := range map[string]string{"2024-01-15T00:00:00Z": "00:30:00.5+01:00", "2024-07-15T00:00:00Z": "01:30:00.5+02:00"} {
		at, err := time.Parse(time.RFC3339, now)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := zone.clockInZone(nil, []byte("23:30:00.5Z"), at.Unix()); err != nil || string(got) != want {
			t.Errorf("%s: %s, %v; want %s", now, got, err, want)
		}
	}
}

// Go's bounds of a zone made this endless.
func TestLastDayOfFarLeapYear(t *testing.T) {
	zone, err := parseZone("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := zone.inZone(nil, []byte("2104-12-31T12:00:00Z")); err != nil || string(got) != "2104-12-31T13:00:00+01:00" {
		t.Errorf("%s, %v", got, err)
	}
}

// FuzzZonedTimestamp checks that what is written reads as the same instant.
func FuzzZonedTimestamp(f *testing.F) {
	for _, seed := range []string{"2024-01-01T00:00:00Z", "-0044-03-15T12:00:00.5+01:30", "+12024-12-31T23:59:59.999999999-18:00", "2024-02-30T00:00Z", "2024-01-01T0"} {
		f.Add(seed, "Europe/Berlin")
		f.Add(seed, "-02:15:30")
	}
	f.Fuzz(func(t *testing.T, text, name string) {
		zone, err := parseZone(name)
		if err != nil {
			return
		}
		once, err := zone.inZone(nil, []byte(text))
		if err != nil {
			return
		}
		utc := javaZone{}
		a, err := utc.inZone(nil, []byte(text))
		b, err2 := utc.inZone(nil, once)
		if err != nil || err2 != nil || string(a) != string(b) {
			t.Errorf("%q in %q is %q: %s, %s, %v, %v", text, name, once, a, b, err, err2)
		}
	})
}

// DecodeLogicalDecodingMessageContent and EventRouter together make an outbox without a table.
func TestMessagesAsOutbox(t *testing.T) {
	chain := mustChain(t, map[string]string{"transforms": "decode,outbox",
		"transforms.decode.type": "io.debezium.connector.postgresql.transforms.DecodeLogicalDecodingMessageContent", "transforms.outbox.type": routerClass})
	r := connectors.Record{Topic: "shop.message", Value: envelope(t, `{"schema":{"type":"struct","name":"io.debezium.connector.postgresql.MessageValue","fields":[{"field":"op","type":"string"},{"field":"ts_ms","type":"int64","optional":true},`+
		`{"field":"message","type":"struct","fields":[{"field":"prefix","type":"string"},{"field":"content","type":"bytes"}]}]},`+
		`"payload":{"op":"m","ts_ms":7,"message":{"prefix":"p","content":"eyJpZCI6IjEiLCJhZ2dyZWdhdGV0eXBlIjoib3JkZXIiLCJhZ2dyZWdhdGVpZCI6IjkiLCJwYXlsb2FkIjp7InRvdGFsIjo1fX0="}}}`)}
	keep, err := chain.Apply(&r)
	if err != nil || !keep || r.Topic != "outbox.event.order" || r.Timestamp != 7 {
		t.Fatalf("kept %t, topic %s, time %d, %v", keep, r.Topic, r.Timestamp, err)
	}
	if got := summary(t, r, true); got != `outbox.event.order "9" {"total":5}` {
		t.Error(got)
	}
}

func BenchmarkTimezoneConverter(b *testing.B) {
	in, header := newConverter(b, "json", nil), newConverter(b, "simple", nil)
	original := readRecord(b, "t", `{"key":null,"value":{"schema":{"type":"struct","name":"s.Envelope","fields":[{"field":"op","type":"string"},{"field":"after","type":"struct","fields":[{"field":"a","type":"int64","name":"io.debezium.time.MicroTimestamp"},{"field":"z","type":"string","name":"io.debezium.time.ZonedTimestamp"}]}]},"payload":{"op":"c","after":{"a":1704067200000000,"z":"2024-01-01T00:00:00.123456Z"}}}}`, in, header)
	chain, err := New(one("TimezoneConverter", "converted.timezone", "Europe/Berlin"))
	if err != nil {
		b.Fatal(err)
	}
	applyAgain(b, chain, original)
}
