package kernels

import (
	"maps"
	"math"
	"math/bits"
	"slices"
	"strings"
	"testing"
	"unsafe"
)

func TestTypes(t *testing.T) {
	for _, tc := range []struct {
		typ             Type
		d, bytes, query int
		name            string
	}{
		{F32, 24, 96, 24, "f32"},
		{F16, 72, 144, 72, "f16"},
		{BF16, 8, 16, 8, "bf16"},
		{Q8_0, 96, 102, 30, "q8_0"},
		{Q4_0, 64, 36, 20, "q4_0"},
	} {
		if got := tc.typ.RowBytes(tc.d); got != tc.bytes {
			t.Errorf("%v: RowBytes(%d) = %d, want %d", tc.typ, tc.d, got, tc.bytes)
		}
		if got := QueryLen(tc.typ, tc.d); got != tc.query {
			t.Errorf("%v: QueryLen(%d) = %d, want %d", tc.typ, tc.d, got, tc.query)
		}
		if tc.typ.String() != tc.name || !slices.Contains(Types, tc.typ) {
			t.Errorf("%v is %q", uint32(tc.typ), tc.typ)
		}
		for _, d := range []int{0, -8, 4, 12, math.MaxInt} {
			if got := tc.typ.RowBytes(d); got != 0 {
				t.Errorf("%v: RowBytes(%d) = %d", tc.typ, d, got)
			}
		}
		if got := tc.typ.RowBytes(40) == 0; got != tc.typ.Quantised() {
			t.Errorf("%v: RowBytes(40) = %d", tc.typ, tc.typ.RowBytes(40))
		}
	}
	if Type(7).RowBytes(32) != 0 || Type(7).String() != "q5_1" || Type(99).String() != "type 99" ||
		len(Types) != 5 {
		t.Error("an unknown type is known")
	}
	if TileBytes(64) != 64+16*64 || ScanLen(64) != 66 {
		t.Error(TileBytes(64), ScanLen(64))
	}
}

func TestNoAllocation(t *testing.T) {
	const rows, d, n = 5, 96, 37
	data := make([]byte, 4*d*n)
	cells := make([]int32, n)
	for i := range cells {
		cells[i] = int32(n - 1 - i)
	}
	f := func(n int) []float32 { return make([]float32, n) }
	dst, q, x, acc, w, long := f(rows*n), f(rows*(d+2)), f(n*d), f(rows*d), f(rows*n), f(2000)
	h, tiles, best, scratch := make([]uint16, d), make([]byte, 3*TileBytes(d)), make([]int32, 20),
		make([]uint32, 4000)
	tiles4, codes, q4, qc := make([]byte, 3*TileBytes4(d)), make([]byte, 16*CodeBytes(2, d)),
		f(rows*ScanLen4(d)), f(rows*CodeQueryLen(d))
	var sink float32
	list := map[string]func(){
		"SoftmaxRow":  func() { _, sink = SoftmaxRow(w, 0) },
		"SoftCap":     func() { SoftCap(w, 30) },
		"Exp32":       func() { sink = Exp32(sink) },
		"Scale":       func() { Scale(x, 1) },
		"Axpby":       func() { Axpby(x, 1, x, 1) },
		"SumSq":       func() { SumSq(acc, acc[d:], x, d, n) },
		"MinMax":      func() { MinMax(acc, acc[d:], x, d, n) },
		"ToF16":       func() { ToF16(h, x[:d]) },
		"Pack":        func() { Pack(tiles, 3, x[:d], Signed) },
		"ScanQueries": func() { ScanQueries(q, x, rows, d) },
		"Scan":        func() { Scan(dst, n, q, rows, d, tiles, n, Signed) },
		"Pack4":       func() { Pack4(tiles4, 3, x[:d], acc[:d]) },
		"Unpack4":     func() { Unpack4(acc[:d], acc[d:2*d], tiles4, 3) },
		"Queries4":    func() { ScanQueries4(q4, x, rows, d) },
		"ScanTiles4": func() {
			var two [3]int32
			ScanTiles4(dst, n, w, n, q4, rows, d, one(tiles4), two[:], n)
		},
		"EncodeCodes": func() { EncodeCodes(codes, 2, x[:16*d], acc[:d], acc[d:2*d]) },
		"CodeQueries": func() { CodeQueries(qc, x, rows, d) },
		"ScoreCodes": func() {
			var pages [2]Coded
			var two [2]int32
			CodedPages(pages[:], one(tiles4), one(codes), d, 2, two[:], two[:])
			ScoreCodes(dst, 37, qc, rows, d, 2, w, n, pages[:])
		},
		"MaxAddSqrt": func() { MaxAddSqrt(acc[:n], x, n, 2, x, n, 2) },
		"MaxAdd":     func() { MaxAdd(acc, x, 0, acc[:1]) },
		"ExpSum":     func() { _, sink = ExpSum(w, 0) },
		"TopK":       func() { TopK(best, long, scratch) },
		"names":      func() { _, _ = ISA(), Q8_0.String() },
	}
	for _, typ := range Types {
		// Of a Cache on the stack no pointer may escape.
		cache := func() Cache {
			return Cache{typ, d, unsafe.Pointer(&data[0]),
				uintptr(typ.RowBytes(d))}
		}
		list["Queries "+typ.String()] = func() { Queries(typ, q, x, rows, d) }
		list["Dot "+typ.String()] = func() { c := cache(); Dot(dst, n, q, rows, &c, cells) }
		list["Acc "+typ.String()] = func() { c := cache(); Acc(acc, d, w, n, rows, &c, cells) }
		list["Ahead "+typ.String()] = func() {
			c := cache()
			next := Ahead{true, &c, cells}
			next.Dot(dst, n, q, rows, &c, cells)
			next.Acc(acc, d, w, n, rows, &c, cells)
		}
		list["Load "+typ.String()] = func() { c := cache(); Load(x, &c, cells) }
		list["Prefetch "+typ.String()] = func() { c := cache(); Prefetch(&c, cells) }
	}
	eachISA(t, func(t *testing.T) {
		for name, fn := range list {
			if a := testing.AllocsPerRun(20, fn); a != 0 {
				t.Errorf("%s allocates %g times", name, a)
			}
		}
	})
}

func TestBadArguments(t *testing.T) {
	b := make([]byte, 4096)
	h := make([]uint16, 9)
	f := func(n int) []float32 { return make([]float32, n) }
	u := func(n int) []uint32 { return make([]uint32, n) }
	c := func(n int) []int32 { return make([]int32, n) }
	of := func(typ Type, d int) *Cache { return &Cache{typ, d, unsafe.Pointer(&b[0]), 16} }
	k := of(F16, 8)
	page := func(col int32) []Coded {
		list := make([]Coded, 1)
		CodedPages(list, one(b), one(b), 8, 2, []int32{1}, []int32{col})
		return list
	}
	list := map[string]func(){
		"Dot d 0":          func() { Dot(f(9), 9, f(99), 1, of(F16, 0), c(1)) },
		"Dot d 12":         func() { Dot(f(9), 9, f(99), 1, of(F16, 12), c(1)) },
		"Dot d huge":       func() { Dot(f(9), 9, f(99), 1, of(F16, math.MaxInt), c(1)) },
		"Dot rows":         func() { Dot(f(9), 9, f(99), -1, k, c(1)) },
		"Dot dst":          func() { Dot(f(6), 4, f(16), 2, k, c(3)) },
		"Dot dst one row":  func() { Dot(f(2), 0, f(16), 1, k, c(3)) },
		"Dot ld":           func() { Dot(f(99), 2, f(16), 2, k, c(3)) },
		"Dot ld negative":  func() { Dot(f(99), -3, f(16), 2, k, c(3)) },
		"Dot q":            func() { Dot(f(99), 3, f(15), 2, k, c(3)) },
		"Dot q q8_0":       func() { Dot(f(99), 3, f(19), 2, of(Q8_0, 32), c(3)) },
		"Dot huge":         func() { Dot(f(99), 1<<30, f(99), 1<<30, k, c(3)) },
		"Dot type":         func() { Dot(f(9), 9, f(99), 1, of(Type(2000), 32), c(1)) },
		"Dot q8_0 d 40":    func() { Dot(f(9), 9, f(99), 1, of(Q8_0, 40), c(1)) },
		"Dot q4_0 d 16":    func() { Dot(f(9), 9, f(99), 1, of(Q4_0, 16), c(1)) },
		"Dot rows 0, d 7":  func() { Dot(nil, 0, nil, 0, of(F32, 7), c(1)) },
		"Acc d negative":   func() { Acc(f(99), 8, f(9), 1, 1, of(F16, -8), c(1)) },
		"Acc rows":         func() { Acc(f(99), 8, f(9), 1, -1, k, c(1)) },
		"Acc acc":          func() { Acc(f(15), 8, f(6), 3, 2, k, c(3)) },
		"Acc ld":           func() { Acc(f(99), 7, f(6), 3, 2, k, c(3)) },
		"Acc p":            func() { Acc(f(16), 8, f(5), 3, 2, k, c(3)) },
		"Acc p ld":         func() { Acc(f(16), 8, f(99), 2, 2, k, c(3)) },
		"Acc p huge":       func() { Acc(f(16), 8, f(99), math.MaxInt, 2, k, c(3)) },
		"Acc n 0, d 7":     func() { Acc(nil, 0, nil, 0, 1, of(F16, 7), nil) },
		"Load dst":         func() { Load(f(15), k, c(2)) },
		"Load type":        func() { Load(f(99), of(Type(1000), 32), c(2)) },
		"Load d":           func() { Load(f(99), of(BF16, 9), nil) },
		"Queries dst":      func() { Queries(F16, f(15), f(16), 2, 8) },
		"Queries q":        func() { Queries(F16, f(16), f(15), 2, 8) },
		"Queries dst q8_0": func() { Queries(Q8_0, f(19), f(64), 2, 32) },
		"Queries q q4_0":   func() { Queries(Q4_0, f(20), f(63), 2, 32) },
		"Queries rows":     func() { Queries(F16, f(99), f(99), -1, 8) },
		"Queries d":        func() { Queries(Q8_0, f(99), f(99), 1, 48) },
		"Queries d 0":      func() { Queries(F32, f(99), f(99), 1, 0) },
		"Queries type":     func() { Queries(Type(9), f(99), f(99), 1, 32) },
		"Axpby":            func() { Axpby(f(3), 1, f(2), 1) },
		"SumSq sum":        func() { SumSq(f(7), f(8), f(8), 8, 1) },
		"SumSq sumsq":      func() { SumSq(f(8), f(7), f(8), 8, 1) },
		"SumSq x":          func() { SumSq(f(8), f(8), f(15), 8, 2) },
		"SumSq d":          func() { SumSq(f(8), f(8), f(8), 0, 1) },
		"SumSq n":          func() { SumSq(f(8), f(8), f(8), 8, -1) },
		"MinMax lo":        func() { MinMax(f(7), f(8), f(8), 8, 1) },
		"MinMax hi":        func() { MinMax(f(8), f(7), f(8), 8, 1) },
		"MinMax x":         func() { MinMax(f(8), f(8), f(7), 8, 1) },
		"MinMax d":         func() { MinMax(f(8), f(8), f(8), 4, 1) },
		"MinMax huge":      func() { MinMax(f(8), f(8), f(8), 1<<30, 1<<30) },
		"ToF16":            func() { ToF16(h[:1], f(2)) },
		"Pack slot":        func() { Pack(b, 16, f(8), Signed) },
		"Pack slot -1":     func() { Pack(b, -1, f(8), Signed) },
		"Pack d":           func() { Pack(b, 0, f(9), Signed) },
		"Pack d 0":         func() { Pack(b, 0, nil, Signed) },
		"Pack tile":        func() { Pack(b[:64+16*8-1], 0, f(8), Signed) },
		"ScanQueries d":    func() { ScanQueries(f(99), f(99), 1, 12) },
		"ScanQueries rows": func() { ScanQueries(f(99), f(99), -1, 8) },
		"ScanQueries dst":  func() { ScanQueries(f(19), f(16), 2, 8) },
		"ScanQueries q":    func() { ScanQueries(f(20), f(15), 2, 8) },
		"Scan d":           func() { Scan(f(9), 9, f(99), 1, 12, b, 1, Signed) },
		"Scan d 0":         func() { Scan(f(9), 9, f(99), 1, 0, b, 1, Signed) },
		"Scan d 1032": func() {
			Scan(f(9), 9, f(2000), 1, 1032, make([]byte, 1<<16), 1,
				Signed)
		},
		"Scan n":    func() { Scan(f(9), 9, f(99), 1, 8, b, -1, Signed) },
		"Scan rows": func() { Scan(f(9), 9, f(99), -1, 8, b, 1, Signed) },
		"Scan dst":  func() { Scan(f(5), 3, f(20), 2, 8, b, 3, Signed) },
		"Scan ld":   func() { Scan(f(99), 2, f(20), 2, 8, b, 3, Signed) },
		"Scan q":    func() { Scan(f(6), 3, f(19), 2, 8, b, 3, Signed) },
		"Scan tiles": func() {
			Scan(f(99), 17, f(10), 1, 8, b[:2*TileBytes(8)-1], 17,
				Signed)
		},
		"Pack4 slot":       func() { Pack4(b, 16, f(8), f(8)) },
		"Pack4 d":          func() { Pack4(b, 0, f(12), f(12)) },
		"Pack4 sd":         func() { Pack4(b, 0, f(8), f(16)) },
		"Pack4 tile":       func() { Pack4(b[:TileBytes4(8)-1], 0, f(8), f(8)) },
		"Unpack4 tile":     func() { Unpack4(f(8), f(8), b[:TileBytes4(8)-1], 0) },
		"ScanQueries4 d":   func() { ScanQueries4(f(9999), f(1032), 1, 1032) },
		"ScanQueries4 dst": func() { ScanQueries4(f(71), f(16), 2, 8) },
		"ScanTiles4 spread": func() {
			ScanTiles4(f(6), 3, f(5), 3, f(72), 2, 8, one(b), c(1), 3)
		},
		"ScanTiles4 ld": func() {
			ScanTiles4(f(99), 2, nil, 0, f(72), 2, 8, one(b), c(1), 3)
		},
		"ScanTiles4 ld spread": func() {
			ScanTiles4(f(99), 3, f(99), 2, f(72), 2, 8, one(b), c(1), 3)
		},
		"ScanTiles4 q": func() {
			ScanTiles4(f(6), 3, f(6), 3, f(71), 2, 8, one(b), c(1), 3)
		},
		"ScanTiles4 mean": func() {
			ScanTiles4(f(5), 3, f(6), 3, f(72), 2, 8, one(b), c(1), 3)
		},
		"ScanTiles4 list": func() {
			ScanTiles4(f(99), 17, f(99), 17, f(36), 1, 8, one(b), c(1), 17)
		},
		"ScanTiles4 block": func() {
			ScanTiles4(f(99), 3, f(99), 3, f(36), 1, 8, one(b), []int32{4}, 3)
		},
		"ScanTiles4 tile": func() {
			ScanTiles4(f(99), 3, f(99), 3, f(36), 1, 8, one(b), []int32{-1}, 3)
		},
		"ScanTiles4 bytes": func() {
			ScanTiles4(f(99), 3, f(99), 3, f(36), 1, 8, one(b[:TileBytes4(8)-1]), c(1), 3)
		},
		"EncodeCodes bits": func() { EncodeCodes(b, 3, f(8), f(8), f(8)) },
		"EncodeCodes x":    func() { EncodeCodes(b, 2, f(17*8), f(8), f(8)) },
		"EncodeCodes part": func() { EncodeCodes(b, 2, f(9), f(8), f(8)) },
		"EncodeCodes sd":   func() { EncodeCodes(b, 2, f(8), f(8), f(7)) },
		"EncodeCodes dst":  func() { EncodeCodes(b[:63], 2, f(8), f(8), f(8)) },
		"CodeQueries dst":  func() { CodeQueries(f(2*CodeQueryLen(8)-1), f(16), 2, 8) },
		"CodedPages tile": func() {
			CodedPages(page(0), one(b[:TileBytes4(8)-1]), one(b), 8, 2, c(1), c(1))
		},
		"CodedPages codes": func() { CodedPages(page(0), one(b), one(b[:16*64-1]), 8, 2, c(1), c(1)) },
		"CodedPages cols":  func() { CodedPages(page(0), one(b), one(b), 8, 2, c(1), nil) },
		"CodedPages dst":   func() { CodedPages(nil, one(b), one(b), 8, 2, c(1), c(1)) },
		"CodedPages block": func() { CodedPages(page(0), one(b), one(b), 8, 2, []int32{64}, c(1)) },
		"CodedPages page":  func() { CodedPages(page(0), one(b), one(b), 8, 2, []int32{-1}, c(1)) },
		"ScoreCodes bits":  func() { ScoreCodes(f(99), 16, f(99), 1, 8, 0, nil, 0, page(0)) },
		"ScoreCodes dst":   func() { ScoreCodes(f(31), 16, f(99), 2, 8, 2, nil, 0, page(0)) },
		"ScoreCodes best":  func() { ScoreCodes(f(15), 0, f(99), 2, 8, 2, nil, 0, page(0)) },
		"ScoreCodes ld":    func() { ScoreCodes(f(99), 15, f(99), 2, 8, 2, nil, 0, page(0)) },
		"ScoreCodes q": func() {
			ScoreCodes(f(99), 16, f(2*CodeQueryLen(8)-1), 2, 8, 2, nil, 0, page(0))
		},
		"ScoreCodes base": func() { ScoreCodes(f(99), 16, f(99), 2, 8, 2, f(5), 3, page(2)) },
		"ScoreCodes col":  func() { ScoreCodes(f(99), 16, f(99), 1, 8, 2, f(5), 3, page(-1)) },
		"MaxAdd":          func() { MaxAdd(f(3), f(7), 5, f(2)) },
		"MaxAdd ld":       func() { MaxAdd(f(3), f(9), 2, f(2)) },
		"MaxAddSqrt a":    func() { MaxAddSqrt(f(3), f(6), 4, 1, f(7), 4, 2) },
		"MaxAddSqrt b":    func() { MaxAddSqrt(f(3), f(7), 4, 1, f(6), 4, 2) },
		"MaxAddSqrt ld":   func() { MaxAddSqrt(f(3), f(9), 2, 1, f(9), 3, 2) },
		"MaxAddSqrt rows": func() { MaxAddSqrt(f(3), f(9), 3, 1, f(9), 3, 0) },
		"TopK k":          func() { TopK(c(3), f(2), u(9)) },
		"TopK scratch":    func() { TopK(c(2), f(3), u(5)) },
	}
	for _, name := range slices.Sorted(maps.Keys(list)) {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if s, _ := recover().(string); !strings.HasPrefix(s, "kernels: ") {
					t.Errorf("panicked with %q", s)
				}
			}()
			list[name]()
		})
	}
}

func TestNothingToDo(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		for _, typ := range Types {
			c := &Cache{Type: typ, Dim: 32}
			Dot(nil, 0, nil, 0, c, make([]int32, 5))
			Dot(nil, 0, nil, 5, c, nil)
			Acc(nil, 0, nil, 0, 0, c, make([]int32, 5))
			Acc(nil, 0, nil, 0, 5, c, nil)
			Load(nil, c, nil)
			Queries(typ, nil, nil, 0, 32)
			Prefetch(c, nil)
		}
		if m, sum := SoftmaxRow(nil, 3); m != 3 || sum != 0 {
			t.Errorf("SoftmaxRow of nothing: %g, %g", m, sum)
		}
		SoftCap(nil, 1)
		Scale(nil, 1)
		Axpby(nil, 1, nil, 1)
		SumSq(nil, nil, nil, 8, 0)
		MinMax(nil, nil, nil, 8, 0)
		ToF16(nil, nil)
		ScanQueries(nil, nil, 0, 8)
		Scan(nil, 0, nil, 0, 8, nil, 5, Signed)
		Scan(nil, 0, nil, 5, 8, nil, 0, Signed)
		ScanQueries4(nil, nil, 0, 8)
		ScanTiles4(nil, 0, nil, 0, nil, 0, 8, Blocks{}, nil, 5)
		ScanTiles4(nil, 0, nil, 0, nil, 5, 8, Blocks{}, nil, 0)
		CodeQueries(nil, nil, 0, 8)
		ScoreCodes(nil, 0, nil, 0, 8, 2, nil, 0, make([]Coded, 5))
		ScoreCodes(nil, 0, nil, 5, 8, 2, nil, 0, nil)
		MaxAddSqrt(nil, nil, 0, 1, nil, 0, 1)
		MaxAdd(nil, nil, 0, nil)
		if m, sum := ExpSum(nil, 3); m != 3 || sum != 0 {
			t.Errorf("ExpSum of nothing: %g, %g", m, sum)
		}
		TopK(nil, nil, nil)
		TopK(nil, make([]float32, 3), make([]uint32, 6))
	})
}

// A single row needs no leading dimension.
func TestSingleRow(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		k, q, dst, acc := make([]uint16, 8), make([]float32, 8), make([]float32, 1),
			make([]float32, 8)
		k[3], q[3] = 0x3c00, 2
		c := &Cache{F16, 8, unsafe.Pointer(&k[0]), 0}
		Dot(dst, -1, q, 1, c, []int32{0})
		Acc(acc, -1, dst, -1, 1, c, []int32{0})
		if dst[0] != 2 || acc[3] != 2 {
			t.Fatal(dst, acc)
		}
	})
}

// Prefetch may run into anything, even pages that are not mapped.
func TestPrefetch(t *testing.T) {
	eachISA(t, func(*testing.T) {
		z := newZone(t, 4096)
		for _, typ := range append(slices.Clone(Types), 7) {
			Prefetch(&Cache{typ, 256, unsafe.Pointer(&z[len(z)-2]), 1 << (bits.UintSize/2 + 1)},
				[]int32{0, 5, -1, 1 << 30})
			Prefetch(&Cache{typ, 64, nil, 0}, make([]int32, 16))
			Prefetch(&Cache{typ, 0, nil, 0}, make([]int32, 16))
		}
	})
}
