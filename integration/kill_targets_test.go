package integration

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/sluicehub/sluice/integration/services"
)

// object is one of the bucket's, named TOPIC+PARTITION+OFFSET.json by the sink.
type object struct {
	key    string
	offset int64
}

// bucketObjects lists the bucket by partition, in the order of offsets.
func bucketObjects(ctx context.Context, s *services.S3, bucket, topic string) (map[int32][]object, error) {
	all := map[int32][]object{}
	pages := s3.NewListObjectsV2Paginator(s.Client(), &s3.ListObjectsV2Input{Bucket: &bucket})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, o := range page.Contents {
			var partition int32
			var offset int64
			if _, err := fmt.Sscanf(strings.TrimPrefix(*o.Key, "topics/"+topic+"/partition="), "%d/", &partition); err != nil {
				return nil, fmt.Errorf("an object that does not belong there: %s", *o.Key)
			}
			name := fmt.Sprintf("topics/%s/partition=%d/%s+%d+", topic, partition, topic, partition)
			if offset, err = strconv.ParseInt(strings.TrimSuffix(strings.TrimPrefix(*o.Key, name), ".json"), 10, 64); err != nil {
				return nil, fmt.Errorf("an object that does not belong there: %s", *o.Key)
			}
			all[partition] = append(all[partition], object{*o.Key, offset})
		}
	}
	for _, list := range all {
		slices.SortFunc(list, func(a, b object) int { return int(a.offset - b.offset) })
	}
	return all, nil
}

// checkObjects compares the objects of one partition with the records of the log that have a value: each of them
// exactly once, in order, size records to an object and the object named after its first one. The records that do
// not fill an object are still in the sink. It returns the number of records in the bucket.
func checkObjects(ctx context.Context, s *services.S3, bucket string, list []object, events []event, size int) (int, error) {
	var values []event
	for _, e := range events {
		if e.payload != nil {
			values = append(values, e)
		}
	}
	n := 0
	for _, o := range list {
		got, err := s.Client().GetObject(ctx, &s3.GetObjectInput{Bucket: &bucket, Key: &o.key})
		if err != nil {
			return n, err
		}
		text, err := io.ReadAll(got.Body)
		got.Body.Close()
		if err != nil {
			return n, err
		}
		lines := bytes.Split(bytes.TrimSuffix(text, []byte("\n")), []byte("\n"))
		if len(lines) != size {
			return n, fmt.Errorf("%s has %d records, not %d", o.key, len(lines), size)
		}
		if len(values) < n+size {
			return n, fmt.Errorf("%s is behind the end of the log", o.key)
		}
		if o.offset != values[n].offset {
			return n, fmt.Errorf("%s should begin at offset %d", o.key, values[n].offset)
		}
		for _, line := range lines {
			if err := sameJSON(line, values[n].payload); err != nil {
				return n, fmt.Errorf("%s, the record of offset %d: %w", o.key, values[n].offset, err)
			}
			n++
		}
	}
	return n, nil
}

// sameJSON compares two JSON values; members may stand in another order.
func sameJSON(got, want []byte) error {
	if bytes.Equal(got, want) {
		return nil
	}
	var forms [2][]byte
	for i, text := range [2][]byte{got, want} {
		d := json.NewDecoder(bytes.NewReader(text))
		d.UseNumber()
		var v any
		if err := d.Decode(&v); err != nil {
			return fmt.Errorf("%w: %s", err, text)
		}
		forms[i], _ = json.Marshal(v)
	}
	if !bytes.Equal(forms[0], forms[1]) {
		return fmt.Errorf("got %s, want %s", got, want)
	}
	return nil
}

// checkIndex compares an index with the table: each row is a document with the row's key and content, and there is no
// other document. How many there are is asked first: that is cheap, and shows nearly always that some are still to come.
func checkIndex(ctx context.Context, e *services.Elasticsearch, index string, table map[int64]change) error {
	answer, err := e.Do(ctx, http.MethodGet, "/"+index+"/_count", "")
	if err != nil {
		return err
	}
	var documents struct{ Count int }
	if err := json.Unmarshal(answer, &documents); err != nil {
		return err
	}
	if documents.Count != len(table) {
		return fmt.Errorf("the index has %d documents, the table %d rows", documents.Count, len(table))
	}
	if _, err := e.Do(ctx, http.MethodPost, "/"+index+"/_refresh", ""); err != nil {
		return err
	}
	const page = 5000
	seen := map[int64]bool{}
	after := ""
	for {
		body, err := e.Do(ctx, http.MethodPost, "/"+index+"/_search", fmt.Sprintf(`{"size":%d,"sort":[{"id":"asc"}]%s}`, page, after))
		if err != nil {
			return err
		}
		var found struct {
			Hits struct {
				Hits []struct {
					ID     string `json:"_id"`
					Source struct {
						ID      int64
						Version int64
						Note    string
					} `json:"_source"`
				}
			}
		}
		if err := json.Unmarshal(body, &found); err != nil {
			return err
		}
		for _, h := range found.Hits.Hits {
			row, ok := table[h.Source.ID]
			if !ok || h.ID != strconv.FormatInt(row.id, 10) {
				return fmt.Errorf("document %s of row %d, version %d: there is no such row", h.ID, h.Source.ID, h.Source.Version)
			}
			if h.Source.Version != row.version || h.Source.Note != row.note {
				return fmt.Errorf("document %s has version %d, the row has %d", h.ID, h.Source.Version, row.version)
			}
			seen[row.id] = true
		}
		if len(found.Hits.Hits) < page {
			break
		}
		after = fmt.Sprintf(`,"search_after":[%d]`, found.Hits.Hits[page-1].Source.ID)
	}
	if len(seen) != len(table) {
		return fmt.Errorf("the index has %d documents, the table %d rows", len(seen), len(table))
	}
	return nil
}
