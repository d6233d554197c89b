package s3

import (
	"context"
	"io"
	"strings"
	"testing"

	"github.com/sluicehub/sluice/connectors"
)

// envelopes are records as a change of a table makes them: Debezium's envelope, of about 300 bytes as Avro.
func envelopes(n int) []connectors.Record {
	row := &connectors.Schema{Type: connectors.Struct, Name: "shop.public.orders.Value", Optional: true, Fields: []connectors.Field{
		{Name: "id", Schema: connectors.Int64Schema}, {Name: "customer_id", Schema: connectors.Int32Schema}, {Name: "status", Schema: connectors.StringSchema},
		{Name: "total", Schema: &connectors.Schema{Type: connectors.Bytes, Name: connectors.DecimalName, Parameters: []connectors.Parameter{{Name: "scale", Value: "2"}}}},
		{Name: "currency", Schema: connectors.StringSchema}, {Name: "note", Schema: connectors.OptionalStringSchema},
		{Name: "created_at", Schema: connectors.StringSchema}, {Name: "updated_at", Schema: connectors.OptionalStringSchema}, {Name: "version", Schema: connectors.Int32Schema}}}
	source := &connectors.Schema{Type: connectors.Struct, Name: "io.debezium.connector.postgresql.Source", Fields: []connectors.Field{
		{Name: "version", Schema: connectors.StringSchema}, {Name: "connector", Schema: connectors.StringSchema}, {Name: "name", Schema: connectors.StringSchema},
		{Name: "ts_ms", Schema: connectors.Int64Schema}, {Name: "db", Schema: connectors.StringSchema}, {Name: "schema", Schema: connectors.StringSchema},
		{Name: "table", Schema: connectors.StringSchema}, {Name: "txId", Schema: connectors.OptionalInt64Schema}, {Name: "lsn", Schema: connectors.OptionalInt64Schema}}}
	envelope := &connectors.Schema{Type: connectors.Struct, Name: "shop.public.orders.Envelope", Fields: []connectors.Field{
		{Name: "before", Schema: row}, {Name: "after", Schema: row}, {Name: "source", Schema: source}, {Name: "op", Schema: connectors.StringSchema},
		{Name: "ts_ms", Schema: connectors.OptionalInt64Schema}}}
	records := make([]connectors.Record, n)
	for i := range records {
		b := append([]byte{0}, 2) // before is null, after is there
		b = connectors.AppendInt(connectors.AppendInt(b, int64(i)), int64(i%1000))
		b = connectors.AppendString(b, "shipped")
		b = connectors.AppendBytes(b, []byte{3, 0x11, byte(i)})
		b = connectors.AppendString(b, "EUR")
		b = connectors.AppendString(append(b, 2), strings.Repeat("note ", 29))
		b = connectors.AppendString(b, "2026-11-21T10:00:00.000000Z")
		b = connectors.AppendString(append(b, 2), "2026-11-21T10:00:00.000000Z")
		b = connectors.AppendInt(b, 1)
		b = connectors.AppendString(connectors.AppendString(connectors.AppendString(b, "3.5.0.Final"), "postgresql"), "shop")
		b = connectors.AppendInt(b, 1_700_000_000_000)
		b = connectors.AppendString(connectors.AppendString(connectors.AppendString(b, "shop"), "public"), "orders")
		b = connectors.AppendInt(append(b, 2), 5_000_000)
		b = connectors.AppendInt(append(b, 2), 987_654_321_000)
		b = connectors.AppendString(b, "c")
		b = connectors.AppendInt(append(b, 2), 1_700_000_000_123)
		records[i] = connectors.Record{Topic: "orders", Timestamp: 1_700_000_000_000, Value: connectors.Data{Schema: envelope, Bytes: b}}
	}
	return records
}

// sinkStore is a bucket that forgets.
type sinkStore struct{ *fakeStore }

func (sinkStore) put(_ context.Context, _ string, body io.ReadSeeker, _ int64, _ metadata, _ bool) error {
	_, err := io.Copy(io.Discard, body)
	return err
}

func (sinkStore) part(_ context.Context, _, _ string, _ int32, body io.ReadSeeker, _ int64) (string, error) {
	_, err := io.Copy(io.Discard, body)
	return "", err
}

func (sinkStore) complete(context.Context, string, string, []string, bool) error { return nil }

func benchmarkConfigs() map[string][]string {
	return map[string][]string{
		"json": {"format.class", "json"}, "json gzip": {"format.class", "json", "s3.compression.type", "gzip", "s3.compression.level", "1"},
		"avro": {"format.class", "avro"}, "avro snappy": {"format.class", "avro", "avro.codec", "snappy"}, "parquet": {"format.class", "parquet"},
		"json by hour": {"format.class", "json", "partitioner.class", "hourly", "timestamp.extractor", "Record"},
	}
}

// BenchmarkPut measures the sink without a server.
func BenchmarkPut(b *testing.B) {
	for name, config := range benchmarkConfigs() {
		b.Run(name, func(b *testing.B) {
			r := startRun(b, sinkStore{newFakeStore()}, baseConfig(append([]string{"flush.size", "100000"}, config...)...))
			r.drive(b, envelopes(1000))
			r.stop()
		})
	}
	b.Run("json without schemas", func(b *testing.B) {
		r := startRun(b, sinkStore{newFakeStore()}, baseConfig("flush.size", "100000", "format.class", "json"))
		r.drive(b, texts(b, envelopes(1000)))
		r.stop()
	})
}

// texts turns values into JSON without schemas.
func texts(b *testing.B, records []connectors.Record) []connectors.Record {
	printer, err := connectors.NewJSONPrinter(records[0].Value.Schema, connectors.JSONOptions{})
	if err != nil {
		b.Fatal(err)
	}
	for i := range records {
		text, _, err := printer.Append(nil, records[i].Value.Bytes)
		if err != nil {
			b.Fatal(err)
		}
		records[i].Value = connectors.Data{Bytes: text}
	}
	return records
}

// BenchmarkServer measures the sink up to the objects in the bucket of a real server on this machine.
func BenchmarkServer(b *testing.B) {
	target := newTarget(b)
	for name, config := range benchmarkConfigs() {
		b.Run(name, func(b *testing.B) {
			r := target.serve(b, orders, append([]string{"flush.size", "100000", "topics.dir", strings.ReplaceAll(name, " ", "-")}, config...)...)
			r.drive(b, envelopes(1000))
			r.stop()
		})
	}
}

// drive puts b.N records, as many of them at a time, and waits until they are uploaded.
func (r *run) drive(b *testing.B, records []connectors.Record) {
	size := 0
	for i := range records {
		size += len(records[i].Value.Bytes)
	}
	b.SetBytes(int64(size / len(records)))
	b.ReportAllocs()
	b.ResetTimer()
	for done := 0; done < b.N; done += len(records) {
		for i := range records {
			records[i].Offset = int64(done + i)
		}
		r.put(records[:min(len(records), b.N-done)]...)
	}
	if _, err := r.task.Flush(b.Context(), true); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "records/s")
}
