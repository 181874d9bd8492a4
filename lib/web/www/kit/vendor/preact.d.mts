export type VNode = any;
export type Ref<T> = { current: T };
export function h(type: any, props: any, ...children: any[]): VNode;
export function render(vnode: VNode, parent: Element): void;
export function createContext<T>(value: T): { Provider: any; Consumer: any; value?: T };
export function createPortal(vnode: VNode, parent: Element): VNode;
export const Fragment: any;
export class Component<P = any, S = any> {
	props: P;
	state: S;
	constructor(props?: P);
	setState(s: Partial<S>): void;
	forceUpdate(): void;
	render(): VNode;
}
