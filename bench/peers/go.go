// Go's net/http, one goroutine a core for each request.
package main

import (
	"encoding/json"
	"net/http"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
)

var table = map[string]func(any) any{
	"squared": func(x any) any { return x.(float64) * x.(float64) },
	"length":  func(x any) any { return len(x.(string)) },
	"upper":   func(x any) any { return strings.ToUpper(x.(string)) },
	"echo":    func(x any) any { return x },
}

func serve(w http.ResponseWriter, r *http.Request) {
	var call struct {
		Function string
		Items    []any
	}
	if err := json.NewDecoder(r.Body).Decode(&call); err != nil || table[call.Function] == nil {
		http.Error(w, "bad request", 400)
		return
	}
	f, results := table[call.Function], make([]any, len(call.Items))
	size := max(1, (len(call.Items)+runtime.NumCPU()-1)/runtime.NumCPU())
	var done sync.WaitGroup
	for at := 0; at < len(call.Items); at += size {
		done.Add(1)
		go func(first, end int) {
			defer done.Done()
			for i := first; i < end; i++ {
				results[i] = f(call.Items[i])
			}
		}(at, min(at+size, len(call.Items)))
	}
	done.Wait()
	text, _ := json.Marshal(map[string]any{"results": results})
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(text)))
	w.Write(text)
}

func min(a, b int) int {
	if a < b {
		return a
	}
	return b
}

func max(a, b int) int {
	return a + b - min(a, b)
}

func main() {
	http.HandleFunc("/map", serve)
	panic(http.ListenAndServe("127.0.0.1:"+os.Getenv("PORT"), nil))
}
