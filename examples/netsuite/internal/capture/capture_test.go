package capture

import (
	"reflect"
	"testing"
)

func TestCount(t *testing.T) {
	got, err := Count("../../testdata/http.pcap")
	if err != nil {
		t.Fatal(err)
	}
	if want := map[uint8]int{1: 2, 6: 9, 17: 2}; !reflect.DeepEqual(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	if _, err := Count("../../testdata/none.pcap"); err == nil {
		t.Error("no error for a file that does not exist")
	}
}
