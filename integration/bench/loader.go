package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
)

// loader measures one load by the bare loader.
func (x *elasticsearchBench) loader(index string) (load, error) {
	var bodies [][]byte
	for i, doc := range x.docs {
		if i%bulkDocuments == 0 {
			bodies = append(bodies, nil)
		}
		last := &bodies[len(bodies)-1]
		*last = fmt.Appendf(*last, "{\"index\":{\"_index\":%q,\"_id\":%q}}\n%s\n", index, documentID(i), doc)
	}
	var loading sync.WaitGroup
	var failed error
	l, err := x.measure(index, func() error {
		loading.Go(func() { failed = x.load(bodies) })
		return nil
	})
	loading.Wait()
	if err := errors.Join(err, failed); err != nil {
		return l, err
	}
	return l, x.remove(index)
}

// documentID is the id of a record's document with key.ignore.
func documentID(offset int) string { return fmt.Sprintf("%s+0+%d", documents, offset) }

// read gets the documents out of an index. It scrolls: a merge in the meantime gives documents other places.
func (x *elasticsearchBench) read(index string) error {
	x.docs = make([]json.RawMessage, x.n)
	path, body, read := "/"+index+"/_search?scroll=5m", map[string]any{"size": 10000, "sort": []string{"_doc"}}, 0
	for {
		var page struct {
			Scroll string `json:"_scroll_id"`
			Hits   struct {
				Hits []struct {
					ID     string          `json:"_id"`
					Source json.RawMessage `json:"_source"`
				}
			}
		}
		if err := x.ask(http.MethodPost, path, body, &page); err != nil {
			return err
		}
		for _, h := range page.Hits.Hits {
			i, err := strconv.Atoi(h.ID[strings.LastIndexByte(h.ID, '+')+1:])
			if err != nil || i >= x.n || h.ID != documentID(i) || x.docs[i] != nil {
				return fmt.Errorf("the document %s is not to be expected", h.ID)
			}
			x.docs[i] = h.Source
			read++
		}
		if len(page.Hits.Hits) == 0 {
			if read < x.n {
				return fmt.Errorf("only %d of %d documents can be read from %s", read, x.n, index)
			}
			return x.ask(http.MethodDelete, "/_search/scroll", map[string]any{"scroll_id": page.Scroll}, nil)
		}
		path, body = "/_search/scroll", map[string]any{"scroll": "5m", "scroll_id": page.Scroll}
	}
}

// load sends the requests, and returns the first error.
func (x *elasticsearchBench) load(bodies [][]byte) error {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: bulksAtOnce}}
	defer client.CloseIdleConnections()
	work, failed := make(chan []byte), make(chan error, 1)
	var sending sync.WaitGroup
	for range bulksAtOnce {
		sending.Go(func() {
			for body := range work {
				if err := send(x.ctx, client, x.url, body); err != nil {
					select {
					case failed <- err:
					default:
					}
				}
			}
		})
	}
	for _, body := range bodies {
		work <- body
	}
	close(work)
	sending.Wait()
	select {
	case err := <-failed:
		return err
	default:
		return nil
	}
}

func send(ctx context.Context, client *http.Client, url string, body []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/_bulk?filter_path=errors", bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-ndjson")
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err == nil && string(answer) != `{"errors":false}` {
		err = fmt.Errorf("a bulk request was answered %.300s", answer)
	}
	return err
}
