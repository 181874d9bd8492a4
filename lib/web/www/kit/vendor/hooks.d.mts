export function useState<T>(init: T | (() => T)): [T, (v: T | ((old: T) => T)) => void];
export function useReducer<S, A>(f: (s: S, a: A) => S, init: S): [S, (a: A) => void];
export function useEffect(f: () => void | (() => void), deps?: any[]): void;
export function useLayoutEffect(f: () => void | (() => void), deps?: any[]): void;
export function useRef<T = any>(init: T): { current: T };
export function useMemo<T>(f: () => T, deps?: any[]): T;
export function useCallback<T>(f: T, deps?: any[]): T;
export function useContext<T = any>(c: any): T;
export function useId(): string;
